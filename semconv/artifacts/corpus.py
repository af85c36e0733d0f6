"""Corpus: the catalogue, every user's ordered interactions, and where training ends for each of them.

    items/*.parquet       one row an item; its row number is the item's index everywhere downstream
        item_id string, title string, brand string, description string (null where unknown), categories list<string>
    sequences/*.parquet   one row a user; its row number is the user's index everywhere downstream
        user_id string, items list<int32>, times list<int64> (nanoseconds, null where only the order is known),
        train_end int32, valid_end int32
    quarantine/*.parquet  rows that were refused: source string, line int64, reason string, row string

Of a user's n items, the first ``train_end`` train, those up to ``valid_end`` validate, the rest test. Under
leave-one-out these are n - 2 and n - 1; a user with fewer than three items only trains.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from semconv.artifacts.artifact import Artifact
from semconv.artifacts.ragged import Int32, Int64, Ragged

SplitName = Literal["valid", "test"]

ITEMS = pa.schema(
    [
        ("item_id", pa.string()),
        ("title", pa.string()),
        ("brand", pa.string()),
        ("description", pa.string()),
        ("categories", pa.list_(pa.string())),
    ]
)
SEQUENCES = pa.schema(
    [
        ("user_id", pa.string()),
        ("items", pa.list_(pa.int32())),
        ("times", pa.list_(pa.int64())),
        ("train_end", pa.int32()),
        ("valid_end", pa.int32()),
    ]
)
QUARANTINE = pa.schema([("source", pa.string()), ("line", pa.int64()), ("reason", pa.string()), ("row", pa.string())])


@dataclass(frozen=True)
class Split:
    """The users that a split asks about: index (int64, U), history before the target, target item (int32, U)."""

    users: Int64
    histories: Ragged
    targets: Int32


class Corpus(Artifact):
    """See the module's own text for the layout."""

    kind = "corpus"

    @cached_property
    def items(self) -> pa.Table:
        """The catalogue, schema `ITEMS`; row number = item index."""
        return _read(self.path / "items", ITEMS)

    @cached_property
    def item_ids(self) -> list[str]:
        """Item id by item index."""
        return list(self.items["item_id"].to_pylist())

    @cached_property
    def item_index(self) -> dict[str, int]:
        """Item index by item id."""
        return {item_id: index for index, item_id in enumerate(self.item_ids)}

    @cached_property
    def user_ids(self) -> list[str]:
        """User id by user index."""
        return list(_read(self.path / "sequences", SEQUENCES, ["user_id"])["user_id"].to_pylist())

    @cached_property
    def sequences(self) -> Ragged:
        """All items of every user, oldest first."""
        column = self._sequence_columns["items"].combine_chunks()
        return Ragged(column.offsets.to_numpy().astype(np.int64), column.values.to_numpy().astype(np.int32))

    @cached_property
    def ends(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """``train_end`` and ``valid_end`` of every user, int64."""
        table = self._sequence_columns
        return table["train_end"].to_numpy().astype(np.int64), table["valid_end"].to_numpy().astype(np.int64)

    @property
    def n_items(self) -> int:
        """Items in the catalogue, N."""
        return int(self.items.num_rows)

    @property
    def n_users(self) -> int:
        """Users with at least one interaction, U."""
        return len(self.sequences)

    def training(self) -> Ragged:
        """Training interactions of every user; nothing that validates or tests is in it."""
        return self.sequences.prefix(self.ends[0])

    def split(self, name: SplitName) -> Split:
        """Users with a target in the split, the history before it (for test: with the validation items), the target.

        Under global time a user may have several items in a split; the first is the target, and a history may be empty.
        """
        train_end, valid_end = self.ends
        lengths = self.sequences.lengths
        start, stop = (train_end, valid_end) if name == "valid" else (valid_end, lengths)
        users = np.flatnonzero(start < stop).astype(np.int64)
        histories = self.sequences.take(users).prefix(start[users])
        targets = self.sequences.values[self.sequences.offsets[users] + start[users]]
        return Split(users, histories, targets)

    @cached_property
    def _sequence_columns(self) -> pa.Table:
        return _read(self.path / "sequences", SEQUENCES, ["items", "train_end", "valid_end"])


def _read(folder: Path, schema: pa.Schema, columns: list[str] | None = None) -> pa.Table:
    """All Parquet files of a folder, in order of their names, as one table."""
    wanted = pa.schema([schema.field(name) for name in columns]) if columns else schema
    tables = [pq.read_table(file, columns=columns) for file in sorted(folder.glob("*.parquet"))]
    return pa.concat_tables([table.cast(wanted) for table in tables]) if tables else wanted.empty_table()
