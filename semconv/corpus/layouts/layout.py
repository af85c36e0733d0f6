"""What a published layout of a shop's data is: which files, which columns, and the quirks of the source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Format = Literal["csv", "jsonl", "literal", "double_colon", "parquet"]
"""``literal``: one Python dict literal a line. ``double_colon``: fields separated by ``::``, no header."""

TimeUnit = Literal["auto", "s", "ms", "us", "ns"]
"""Unit of a numeric time; ``auto`` tells it from the size of each number. Dates written as text are always read."""


@dataclass(frozen=True)
class Files:
    """One way in which a table may lie in the input folder.

    ``patterns`` are globs, tried in turn; ``columns`` maps our name to the file's. ``header`` names the columns of a
    file that has none. ``format`` none is told from the file's name.
    """

    patterns: tuple[str, ...]
    columns: Mapping[str, str]
    format: Format | None = None
    header: tuple[str, ...] = ()
    encoding: str | None = None


@dataclass(frozen=True)
class Layout:
    """A data set's layout. Without ``items`` the catalogue is derived from the titles in the interaction rows.

    ``category_separator`` splits categories that come as one string. ``invoices`` says that rows carry an invoice
    and a quantity: an invoice that starts with C is a cancellation.
    """

    name: str
    interactions: tuple[Files, ...]
    items: tuple[Files, ...]
    time_unit: TimeUnit = "auto"
    category_separator: str = ","
    invoices: bool = False
