"""The layouts that semconv reads, by reader name."""

from semconv.corpus.layouts.amazon import AMAZON2014, AMAZON2018, AMAZON2023
from semconv.corpus.layouts.layout import Files, Format, Layout, TimeUnit
from semconv.corpus.layouts.movielens import MOVIELENS
from semconv.corpus.layouts.native import INTERACTION_COLUMNS, ITEM_COLUMNS, NATIVE
from semconv.corpus.layouts.online_retail import ONLINE_RETAIL

LAYOUTS = {layout.name: layout for layout in (NATIVE, AMAZON2014, AMAZON2018, AMAZON2023, MOVIELENS, ONLINE_RETAIL)}

__all__ = ["INTERACTION_COLUMNS", "ITEM_COLUMNS", "LAYOUTS", "NATIVE", "Files", "Format", "Layout", "TimeUnit"]
