"""Every performance claim in the documentation comes from here: ``python -m benchmarks.NAME --out FILE.json``."""
