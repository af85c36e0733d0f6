"""Raw logs and catalogue to a corpus, spread by Ray Data: files are read and cleaned in blocks, in parallel.

python -m pipelines.ingest --config configs/beauty.yaml --corpus.path DIR
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pyarrow as pa
import ray.data
from ray.data import DataContext, Datasource
from ray.data.block import BlockMetadata
from ray.data.datasource import ReadTask

from pipelines.stage import Stage, Work, run_stages
from semconv.artifacts import Manifest, Run
from semconv.cli import main
from semconv.config import Settings
from semconv.corpus.accounting import sentence
from semconv.corpus.build import build_corpus
from semconv.corpus.gather import Cleaned
from semconv.corpus.reading import Clean, Piece, input_fingerprints, open_input
from semconv.corpus.source import Source
from semconv.errors import ArtifactError

BLOCK_BYTES = 16 * 2**20
"""Ray Data would make far larger blocks by default: too few to keep the cores busy, too large for memory."""


def build(work: Work) -> None:
    """Write the corpus artifact."""
    corpus = work.settings.corpus
    source = open_input(corpus, work.settings.run.seed)
    with _block_settings():
        counts = build_corpus(
            work.out("corpus"),
            corpus,
            interactions=_cleaned(source.interactions, source.clean_interactions),
            items=_cleaned(source.items, source.clean_items) if source.items else None,
            timed=source.timed,
            report=work.line,
        )
    for table, rows in counts["rows"].items():
        work.line.say(sentence(table, rows))
    work.line.say(f"{counts['users']:,} users, {counts['items']:,} items, {counts['interactions']:,} interactions")
    work.count("corpus", **counts)


def accept(run: Run, earlier: Manifest, raw: dict[str, str]) -> None:
    """Refuse to replace a corpus that was made from other files: its run directory is somebody's work."""
    if earlier.inputs != raw:
        raise ArtifactError(
            f"{run.shown} was made from another corpus than the one given now", "Choose another --run.name"
        )


class Pieces(Datasource):
    """Pieces of input, one read task each; columns ``piece`` and ``share`` tell its number and how far it was read."""

    def __init__(self, pieces: tuple[Piece, ...]) -> None:
        super().__init__()
        self._pieces = pieces

    def get_read_tasks(
        self,
        parallelism: int,  # noqa: ARG002  # Ray Data's own signature
        per_task_row_limit: int | None = None,  # noqa: ARG002  # likewise
        data_context: DataContext | None = None,  # noqa: ARG002  # likewise
    ) -> list[ReadTask]:
        """One task a piece, however many are asked for: a compressed file cannot be entered in the middle."""
        unknown = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None)
        return [ReadTask(partial(_read, number, piece), unknown) for number, piece in enumerate(self._pieces)]

    def estimate_inmemory_data_size(self) -> int | None:
        """Not known before the files are decompressed."""
        return None


def _read(number: int, piece: Piece) -> Iterator[pa.Table]:
    for block in piece.read():
        rows = block.rows.num_rows
        placed = block.rows.append_column("piece", pa.array(np.full(rows, number, np.int32)))
        yield placed.append_column("share", pa.array(np.full(rows, block.share, np.float32)))


def _clean(block: pa.Table, sources: tuple[Source, ...], clean: Clean) -> pa.Table:
    if not block.num_rows:
        return block
    cleaned = clean(block.drop_columns(["piece", "share"]).combine_chunks(), sources[block["piece"][0].as_py()])
    return cleaned.append_column("piece", block["piece"]).append_column("share", block["share"])


def _cleaned(pieces: tuple[Piece, ...], clean: Clean) -> Iterable[Cleaned]:
    """Cleaned blocks in the input's order."""
    sources = tuple(piece.source for piece in pieces)
    rows = ray.data.read_datasource(Pieces(pieces), override_num_blocks=len(pieces))
    blocks = rows.map_batches(
        _clean, batch_size=None, batch_format="pyarrow", fn_kwargs={"sources": sources, "clean": clean}
    )
    for block in blocks.iter_batches(batch_size=None, batch_format="pyarrow"):
        if block.num_rows:
            piece, share = block["piece"][0].as_py(), block["share"][-1].as_py()
            yield Cleaned(sources[piece].name, block, (piece + share) / len(pieces))


@contextmanager
def _block_settings() -> Iterator[None]:
    """Small blocks, handed on in the input's order, for the time of the block."""
    context = DataContext.get_current()
    earlier = context.target_max_block_size, context.execution_options.preserve_order
    context.target_max_block_size, context.execution_options.preserve_order = BLOCK_BYTES, True
    try:
        yield
    finally:
        context.target_max_block_size, context.execution_options.preserve_order = earlier


STAGE = Stage(
    name="ingest",
    makes=("corpus",),
    needs=(),
    reads=("corpus",),
    code=1,
    build=build,
    raw=lambda settings: input_fingerprints(settings.corpus),
    accepts=accept,
)


def run(settings: Settings) -> None:
    """Run this stage alone."""
    run_stages(settings, (STAGE,))


if __name__ == "__main__":
    main(run, "pipelines.ingest")
