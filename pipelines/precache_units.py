"""Ranking in units that are done or not, so that a job killed at any time goes on where it was.

    units/00000.parquet ..     one row: unit int64, users list<int32>, histories list<list<int32>> (oldest item first)
    divided                    how many units there are, written when all of them are
    tries/0000/scored/         one row a unit: unit int64, users list<int32>, items list<int32>, scores list<float32>
    tries/0000/done/           Ray Data's checkpoint of that try: ids of the units whose answers are whole

A unit is one row in one file, and so its answers come whole or not at all. A try reads the units that no earlier one
has done. Ray Data could leave the others out itself, with an actor that takes a CPU and a gigabyte from those that rank
and waits for ever where there is none to spare; a checkpoint of its own for every try needs no such actor.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray.data
from ray.data import DataContext
from ray.data.checkpoint import CheckpointConfig

from pipelines.actors import Pool
from pipelines.cluster import POLL_S
from semconv.artifacts.ragged import Int32, Int64, Ragged
from semconv.artifacts.store_files import StoreFiles
from semconv.errors import ArtifactError
from semconv.recommend.ranker import Ranking

Progress = Callable[[int, int], None]
"""Told how many units are done, and of how many."""
UNITS = 1000
"""Units of a job, about: so much of its work, at most, is lost by each actor when it is killed."""
UNIT = pa.schema([("unit", pa.int64()), ("users", pa.list_(pa.int32())), ("histories", pa.list_(pa.list_(pa.int32())))])
SCORED = pa.schema(
    [
        ("unit", pa.int64()),
        ("users", pa.list_(pa.int32())),
        ("items", pa.list_(pa.int32())),
        ("scores", pa.list_(pa.float32())),
    ]
)
DIVIDED = "divided"
PENDING = ".pending.parquet"
"""How Ray Data's records end that say nothing yet: the answers may be there in part."""


class Unit(NamedTuple):
    """Users who are ranked together: their indices, int32 (B), and all that they did."""

    number: int
    users: Int32
    histories: Ragged

    @classmethod
    def of(cls, row: pa.Table) -> Unit:
        """From a table of one row, schema `UNIT`."""
        users, histories = (row[name].combine_chunks() for name in ("users", "histories"))
        lists = histories.flatten()
        offsets = lists.offsets.to_numpy().astype(np.int64)
        values = lists.values.to_numpy()
        return cls(row["unit"][0].as_py(), users.flatten().to_numpy(), Ragged(offsets, values))

    def answered(self, ranking: Ranking) -> pa.Table:
        """The row that holds the unit's answers, schema `SCORED`."""
        columns = ([self.number], [self.users], [ranking.items.ravel()], [ranking.scores.ravel()])
        return pa.table([pa.array(column, field.type) for column, field in zip(columns, SCORED, strict=True)], SCORED)


class Job:
    """The units of one job in a folder of its own."""

    def __init__(self, files: StoreFiles) -> None:
        """``files``: a folder that need not be there, or a prefix; it must be reachable from every node."""
        self.files = files

    def divide(self, users: Int64, histories: Ragged, batch_size: int) -> None:
        """Lay out the units of these ``users``, indices into ``histories``, unless an earlier try has done so.

        A unit is a batch, or as many as make `UNITS` units: the same ones at every try, whatever the batch size is now.
        """
        if self.files.read(DIVIDED) is not None:
            return
        self.files.delete_folder("")
        size = batch_size * max(1, -(-len(users) // (UNITS * batch_size)))
        starts = range(0, len(users), size)
        for number, start in enumerate(starts):
            part = users[start : start + size]
            lists = histories.take(part)
            values = pa.ListArray.from_arrays(pa.array(lists.offsets, pa.int32()), pa.array(lists.values))
            own = pa.ListArray.from_arrays(pa.array([0, len(part)], pa.int32()), values)
            row = [pa.array([number]), pa.array([part], pa.list_(pa.int32())), own]
            written = pa.BufferOutputStream()
            pq.write_table(pa.table(row, UNIT), written)
            self.files.write(f"units/{number:05d}.parquet", written.getvalue().to_pybytes())
        self.files.write(DIVIDED, str(len(starts)).encode())

    def rank(self, actor: type, kwargs: Mapping[str, Any], pool: Pool, report: Progress) -> None:
        """Have the units that are left ranked by a pool of actors, each made with ``kwargs``.

        An actor is called with one unit, schema `UNIT`, and returns its row of `SCORED`.
        """
        left = self.left()
        if not left:
            return
        attempt = self.files.below(f"tries/{len(self.files.folders('tries')):04d}")
        # Reads and writes take no CPU: where a node goes, actors wait for another and may hold all that are left.
        aside: dict[str, Any] = {"filesystem": attempt.filesystem, "concurrency": pool.workers}
        with _checkpointed(attempt.below("done")), self._watched(report):
            ray.data.read_parquet([self.files.path(name) for name in left], num_cpus=0, **aside).map_batches(
                actor,
                batch_size=1,
                batch_format="pyarrow",
                fn_constructor_kwargs=dict(kwargs),
                **pool.arguments,
            ).write_parquet(attempt.path("scored"), ray_remote_args={"num_cpus": 0}, **aside)
        lost = self.left()
        if lost:
            raise ArtifactError(
                f"{len(lost)} units were sent to be ranked and did not come back, such as {lost[0]}",
                "Run the stage again: it takes up those that are left",
            )

    def left(self) -> list[str]:
        """The files of the units that no try has done, from the job's folder; `ArtifactError` for a damaged record."""
        done = {unit for record in self._records() for unit in self._read(record)["unit"].to_pylist()}
        return [f"units/{number:05d}.parquet" for number in range(self._units()) if number not in done]

    def share(self) -> float:
        """How much of the job is on record as done, from 0 to 1."""
        return len(self._records()) / max(1, self._units())

    def answers(self) -> Iterator[tuple[Int32, Ranking]]:
        """Users and their rankings, a unit at a time, each unit once; raises `ArtifactError` for damaged files."""
        seen: set[int] = set()
        for record in self._records():
            file = record.replace("/done/", "/scored/").removesuffix(".parquet") + "-0.parquet"
            table = self._read(file, SCORED)
            for unit, users, items, scores in zip(*(table[name] for name in SCORED.names), strict=True):
                if unit.as_py() in seen:
                    continue  # a process that outlived a killed try finished what the next one took up
                seen.add(unit.as_py())
                rows = users.values.to_numpy()
                items_BK, scores_BK = (found.values.to_numpy().reshape(len(rows), -1) for found in (items, scores))
                yield rows, Ranking(items_BK, scores_BK)

    def _records(self) -> list[str]:
        """Ray Data's records of finished units."""
        tries = (f"tries/{name}/done" for name in self.files.folders("tries"))
        found = [f"{folder}/{name}" for folder in tries for name in self.files.names(folder)]
        return [name for name in found if name.endswith(".parquet") and not name.endswith(PENDING)]

    def _units(self) -> int:
        return int(self.files.read(DIVIDED) or 0)

    def _read(self, name: str, schema: pa.Schema | None = None) -> pa.Table:
        """What a try has written; a power cut may have left it in part, for Ray does not wait for the disk."""
        try:
            return pq.read_table(self.files.path(name), schema=schema, filesystem=self.files.filesystem)
        except (OSError, pa.ArrowException) as error:
            raise ArtifactError(
                f"{self.files.shown}/{name} cannot be read: {error}", "Rank everybody afresh with --run.force"
            ) from None

    @contextmanager
    def _watched(self, report: Progress) -> Iterator[None]:
        """Tell ``report`` of finished units for the time of the block."""
        total, over = self._units(), threading.Event()

        def watch() -> None:
            while not over.wait(POLL_S):
                with suppress(ArtifactError):  # a store that does not answer: the next look tells as much
                    report(len(self._records()), total)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@contextmanager
def _checkpointed(files: StoreFiles) -> Iterator[None]:
    """Datasets made in this block keep their checkpoint in ``files``, and every row is a block of its own."""
    context = DataContext.get_current()
    before = context.checkpoint_config, context.target_max_block_size
    context.checkpoint_config = CheckpointConfig(
        "unit", files.path(), delete_checkpoint_on_success=False, override_filesystem=files.filesystem
    )
    context.target_max_block_size = 1
    try:
        yield
    finally:
        context.checkpoint_config, context.target_max_block_size = before
