"""align: the language model learns the item codes, on Ray Train with DeepSpeed.

python -m pipelines.align --config configs/beauty.yaml --align.epochs 20 --align.zero_stage 2 --align.workers 2
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.stage import Stage, Work, run_stages
from pipelines.train import fit
from pipelines.worker import gpus_for
from pipelines.worker import work as train_here
from semconv.artifacts import BaseModel, Corpus, ItemTokens, ItemVectors
from semconv.cli import main
from semconv.config import Settings
from semconv.training.align import Inputs, alignment


def build(work: Work) -> None:
    """Fill the model artifact."""
    settings = work.settings
    kinds = (Corpus, ItemVectors, ItemTokens, BaseModel)
    paths = {kind.kind: str(work.input(kind).path.absolute()) for kind in kinds}
    config = {"paths": paths, "settings": settings, "out": str(work.out("model").absolute())}
    fit(
        work,
        align_here,
        config,
        name="align",
        workers=settings.align.workers,
        gpu=gpus_for("align.workers", settings.align.workers),
        max_failures=settings.align.max_failures,
    )


def align_here(config: dict[str, Any]) -> None:
    """The loop of a Ray Train worker; ``config`` as `build` makes it, with ``report`` added."""
    settings: Settings = config["settings"]
    paths = config["paths"]
    inputs = Inputs(
        Corpus.open(paths["corpus"]),
        ItemVectors.open(paths["vectors"]),
        ItemTokens.open(paths["tokens"]),
        BaseModel.open(paths["base"]),
    )
    job = alignment(inputs, settings.align, settings.run.seed)
    trained, rank = train_here(job, config["report"], settings.ray.threads)
    if rank == 0:
        job.export(trained, Path(config["out"]))


STAGE = Stage(
    name="align",
    makes=("model",),
    needs=(Corpus, ItemVectors, ItemTokens, BaseModel),
    reads=("align",),
    code=1,
    build=build,
)


if __name__ == "__main__":
    main(lambda settings: run_stages(settings, [STAGE]), "pipelines.align")
