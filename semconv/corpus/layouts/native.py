"""semconv's own layout, and with a column mapping any CSV, JSONL or Parquet."""

from semconv.corpus.layouts.layout import Files, Layout

_SUFFIXES = (".csv.gz", ".csv", ".jsonl.gz", ".jsonl", ".parquet")
INTERACTION_COLUMNS = {name: name for name in ("user_id", "item_id", "timestamp", "position", "rating")}
ITEM_COLUMNS = {name: name for name in ("item_id", "title", "brand", "description", "categories")}

NATIVE = Layout(
    name="native",
    interactions=(Files(tuple(f"interactions{suffix}" for suffix in _SUFFIXES), INTERACTION_COLUMNS),),
    items=(Files(tuple(f"items{suffix}" for suffix in _SUFFIXES), ITEM_COLUMNS),),
)
