"""AlignmentExamples: everything an alignment trains on, written once and read where it lies.

    examples.json                    spelling, max_history, weights, seed, and the rows of every family of tasks
    <family>/00000.arrow ..          `SHARD` rows each, the last one fewer: words list<int32>, items list<int32>,
                                     answer int32

Spelt in tokens, ``words`` are the token ids of the whole example and ``items`` is empty; in the compact spelling
``words`` are the token ids before the history and ``items`` those of the history with what follows it. ``answer`` is
the place, in the former or the latter, of the first that is learned. All files are uncompressed Arrow IPC of one
record batch, memory-mapped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from semconv.artifacts.artifact import Artifact
from semconv.artifacts.manifest import Manifest
from semconv.artifacts.ragged import Int32, Ragged
from semconv.errors import ArtifactError

DESCRIPTION = "examples.json"
SHARD = 32_768
"""Rows a shard; what is held in memory while one is written."""
OPEN_SHARDS = 512
"""Shards kept mapped at once: each takes a file descriptor."""
SCHEMA = pa.schema([("words", pa.list_(pa.int32())), ("items", pa.list_(pa.int32())), ("answer", pa.int32())])


class ExampleRow(NamedTuple):
    """One example: words and items int32, and the place of the first that is learned."""

    words: Int32
    items: Int32
    answer: int


class _Shard(NamedTuple):
    words: Ragged
    items: Ragged
    answers: Int32


class AlignmentExamples(Artifact):
    """See the module's own text for the layout."""

    kind = "examples"

    def __init__(self, path: Path, manifest: Manifest) -> None:
        super().__init__(path, manifest)
        self._shard = lru_cache(maxsize=OPEN_SHARDS)(self._mapped)

    @cached_property
    def description(self) -> dict[str, Any]:
        """The content of ``examples.json``."""
        return dict(json.loads((self.path / DESCRIPTION).read_text()))

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Rows of every family."""
        return dict(self.description["sizes"])

    def row(self, family: str, number: int) -> ExampleRow:
        """A row of a family, by its number; views of the mapped file. Raises `IndexError` where there is none."""
        if not 0 <= number < self.sizes.get(family, 0):
            raise IndexError(f"{family} {number}")
        shard, place = self._shard(family, number // SHARD), number % SHARD
        return ExampleRow(shard.words[place], shard.items[place], int(shard.answers[place]))

    def require(self, **wanted: Any) -> None:
        """Raise `ArtifactError` unless ``examples.json`` says the same of every name given."""
        for name, value in wanted.items():
            found = self.description.get(name)
            if found != value:
                raise ArtifactError(
                    f"The examples in {self.path} were made with {name} {found} and {value} is asked for",
                    "Redo the stage examples with these settings",
                )

    def _mapped(self, family: str, number: int) -> _Shard:
        path = shard_path(self.path, family, number)
        try:
            batch = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
        except (OSError, pa.ArrowInvalid) as error:
            raise ArtifactError(f"{path} cannot be read: {error}", "Redo the stage examples") from None
        if not batch.schema.equals(SCHEMA):
            raise ArtifactError(f"{path} has other columns than examples have", "Redo the stage examples")
        words, items = (
            Ragged(batch[name].offsets.to_numpy().astype(np.int64), batch[name].values.to_numpy())
            for name in ("words", "items")
        )
        return _Shard(words, items, batch["answer"].to_numpy())


def shard_path(folder: Path, family: str, number: int) -> Path:
    """Where a shard of a family lies."""
    return folder / family / f"{number:05d}.arrow"


def shards_of(sizes: Mapping[str, int]) -> list[tuple[str, int]]:
    """Every shard of such families: family and number."""
    return [(family, number) for family, rows in sizes.items() for number in range(-(-rows // SHARD))]


def write_shard(folder: Path, family: str, number: int, rows: Iterable[ExampleRow]) -> int:
    """Write a shard from its rows, at most `SHARD`; how many there were. Whoever reads it sees all of it or nothing."""
    columns = list(zip(*rows, strict=True))
    path = shard_path(folder, family, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    words, items = (_lists(column) for column in columns[:2])
    batch = pa.RecordBatch.from_arrays([words, items, pa.array(columns[2], pa.int32())], schema=SCHEMA)
    partial = path.with_suffix(".part")
    with pa.ipc.new_file(str(partial), SCHEMA) as target:
        target.write_batch(batch)
    partial.rename(path)
    return int(batch.num_rows)


def write_description(folder: Path, sizes: Mapping[str, int], **said: Any) -> None:
    """Write ``examples.json``. Raises `ArtifactError` when a shard is missing."""
    missing = [shard for shard in shards_of(sizes) if not shard_path(folder, *shard).is_file()]
    if missing:
        raise ArtifactError(f"{len(missing)} shards of examples were not written, {missing[0]} first", "Run it again")
    content = {**said, "sizes": dict(sizes)}
    (folder / DESCRIPTION).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def _lists(rows: tuple[Int32, ...]) -> pa.ListArray:
    flat = Ragged.of(rows)
    return pa.ListArray.from_arrays(pa.array(flat.offsets.astype(np.int32)), pa.array(flat.values))
