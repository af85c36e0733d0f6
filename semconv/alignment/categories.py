"""Categories that tell items apart: those that at most half of the catalogue shares.

N items.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


class TellingCategories:
    """The telling categories of a catalogue's items."""

    def __init__(self, items: pa.Table) -> None:
        """``items`` has schema `ITEMS`."""
        self._items = items
        lists = items["categories"].combine_chunks()
        names = pc.utf8_trim_whitespace(pc.list_flatten(lists))
        named = pa.table({"item": pc.list_parent_indices(lists), "name": names})
        carried = named.group_by(["item", "name"]).aggregate([])  # an item that repeats a category counts once
        half = (len(lists) - lists.null_count) / 2
        counted = pc.value_counts(carried["name"]).to_pylist()
        self._telling = {row["values"] for row in counted if row["values"] and row["counts"] <= half}
        self._told_N = np.zeros(items.num_rows, np.bool_)
        tells = pc.is_in(carried["name"], value_set=pa.array(sorted(self._telling), pa.string()))
        self._told_N[carried["item"].filter(tells).to_numpy()] = True

    def has(self) -> npt.NDArray[np.bool_]:
        """Which items have one, bool (N)."""
        return self._told_N

    def of(self, item: int) -> list[str]:
        """Those of an item, each once, in the order of the catalogue."""
        names = [name.strip() for name in self._items["categories"][item].as_py() or () if name]
        return [name for name in dict.fromkeys(names) if name in self._telling]
