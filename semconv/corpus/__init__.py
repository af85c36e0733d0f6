"""From raw logs to a corpus: readers, cleaning, splits, and a synthetic shop to try things on."""
