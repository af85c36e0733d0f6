"""examples: everything the alignment trains on, written once by Ray Data from corpus and tokens.

python -m pipelines.examples --config configs/beauty.yaml --align.tasks.query 0.5

An example is a function of the run's seed, its family and its number, so that the shards are the same however many
processes write them.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import ray.data
import torch

from pipelines.actors import Pool
from pipelines.cluster import sharing_cores
from pipelines.stage import Stage, Work, run_stages
from semconv.alignment.builder import Builder, open_builder
from semconv.alignment.registry import description_of, unanswered
from semconv.artifacts import BaseModel, Corpus, ItemTokens, ItemVectors, file_digest
from semconv.artifacts.examples import SHARD, shards_of, write_description, write_shard
from semconv.artifacts.handover import collect, handing_over
from semconv.cli import main
from semconv.config import Settings

KINDS = (Corpus, ItemVectors, ItemTokens, BaseModel)


class WriteShards:
    """An actor's work: it opens the artifacts with its first shard."""

    def __init__(self, paths: dict[str, str], settings: Settings, folder: str) -> None:
        torch.set_num_threads(settings.ray.threads)
        self._paths, self._settings, self._folder = paths, settings, Path(folder)

    @cached_property
    def _builder(self) -> Builder:
        return _open(self._paths, self._settings)

    def __call__(self, batch: dict[str, npt.NDArray[Any]]) -> pa.Table:
        """Columns ``family`` and ``shard`` to ``rows`` written."""
        written = [self._write(str(family), int(shard)) for family, shard in zip(*batch.values(), strict=True)]
        return pa.table({"rows": pa.array(written, pa.int64())})

    def _write(self, family: str, shard: int) -> int:
        begin, size = shard * SHARD, self._builder.sizes[family]
        rows = (self._builder.row(family, number) for number in range(begin, min(begin + SHARD, size)))
        with handing_over(self._folder) as folder:
            return write_shard(folder, family, shard, rows)


def build(work: Work) -> None:
    """Write every shard; what is wrong with the input is found here, before any worker starts."""
    settings, folder = with_templates_found(work.settings), work.out("examples").absolute()
    workers = settings.align.example_workers
    work.room.require_cpus("align.example_workers", workers)
    paths = {kind.kind: str(work.input(kind).path.absolute()) for kind in KINDS}
    builder = _open(paths, settings)
    sizes, left_out = builder.sizes, unanswered(settings.align)
    total, done = sum(sizes.values()), 0
    shards = shards_of(sizes)
    workers = min(workers, len(shards))
    work.line(0, total, "examples written")
    table = pa.table({"family": [family for family, _ in shards], "shard": [shard for _, shard in shards]})
    written = ray.data.from_arrow([table.slice(row, 1) for row in range(len(shards))]).map_batches(
        WriteShards,
        batch_size=1,
        fn_constructor_kwargs={"paths": paths, "settings": sharing_cores(settings, workers), "folder": str(folder)},
        **Pool(workers).arguments,
    )
    for batch in written.iter_batches(batch_size=None, batch_format="numpy"):
        done += int(np.sum(batch["rows"]))
        work.line(done, total, "examples written")
    if done != total:
        raise RuntimeError(f"{total} examples were to be written and {done} were")
    collect(folder)
    write_description(folder, sizes, **description_of(settings.align, settings.run.seed))
    work.count("examples", sequences=builder.sequences, held_out=len(builder.shop.held_out), **sizes)
    work.line.say(", ".join(f"{family} {size:,}" for family, size in sizes.items()))
    if left_out:
        families = " and no ".join(left_out)
        work.line.say(f"a {settings.align.spelling} model answers with items alone: no {families} tasks")


def templates_of(settings: Settings) -> dict[str, str]:
    """For `Stage.raw`: the templates by content, where they are not our own and can be read."""
    given = settings.align.tasks.templates
    return {"templates": file_digest(Path(given))} if given and Path(given).is_file() else {}


def with_templates_found(settings: Settings) -> Settings:
    """For processes that work in another folder, as those of Ray Train do: the templates by their absolute path."""
    given = settings.align.tasks.templates
    if given is None:
        return settings
    tasks = settings.align.tasks.model_copy(update={"templates": str(Path(given).absolute())})
    return settings.model_copy(update={"align": settings.align.model_copy(update={"tasks": tasks})})


def _open(paths: dict[str, str], settings: Settings) -> Builder:
    return open_builder(
        Corpus.open(paths["corpus"]),
        ItemVectors.open(paths["vectors"]),
        ItemTokens.open(paths["tokens"]),
        BaseModel.open(paths["base"]),
        settings.align,
        settings.run.seed,
    )


STAGE = Stage(
    name="examples",
    makes=("examples",),
    needs=KINDS,
    reads=("align.spelling", "align.max_history", "align.tasks"),
    code=3,
    build=build,
    raw=templates_of,
)


def run(settings: Settings) -> None:
    """Run this stage alone."""
    run_stages(settings, (STAGE,))


if __name__ == "__main__":
    main(run, "pipelines.examples")
