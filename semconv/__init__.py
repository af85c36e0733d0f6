"""semconv: items as semantic tokens, an LLM that speaks them, and recommendations precached and served.

The library: what is computed. It never imports ray; `pipelines` and `serve` spread it over a cluster.
"""

__version__ = "0.1.0"
