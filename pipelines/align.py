"""align: the language model learns the item codes, on Ray Train with DeepSpeed.

python -m pipelines.align --config configs/beauty.yaml --align.epochs 20 --align.zero_stage 2 --align.workers 2
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines import examples
from pipelines.cluster import sharing_cores
from pipelines.stage import Stage, Work, run_stages
from pipelines.train import fit
from pipelines.worker import work as train_here
from semconv.artifacts import AlignmentExamples, BaseModel, Corpus, ItemTokens, ItemVectors, Recommender
from semconv.artifacts.handover import collect, download, handing_over, upload
from semconv.cli import main
from semconv.config import Settings
from semconv.training.align import Inputs, alignment
from semconv.training.liger import require_liger
from semconv.training.probes import probe_table
from semconv.training.record import Record, warnings_of
from semconv.training.tracking import require_tracking


def build(work: Work) -> None:
    """Fill the model artifact."""
    settings = examples.with_templates_found(work.settings)
    paths = {kind: str(artifact.path.absolute()) for kind, artifact in work.inputs.items()}
    require_tracking(settings.align.tracking)
    if settings.align.liger:
        require_liger()
    logs = (work.run.path / "logs" / "align").absolute()
    if settings.align.start is not None:
        paths["start"] = str(Path(settings.align.start).absolute())
    told = sharing_cores(settings, settings.align.workers)
    config = {"paths": paths, "settings": told, "out": str(work.out("model").absolute()), "logs": str(logs)}
    fit(
        work,
        align_here,
        config,
        name="align",
        workers=settings.align.workers,
        gpu=work.room.gpus_for("align.workers", settings.align.workers),
        max_failures=settings.align.max_failures,
        logs=logs,
    )
    collect(work.out("model"))
    download(logs)
    for line in [*warnings_of(logs), *probe_table(work.out("model"))]:
        work.line.say(line)


def align_here(config: dict[str, Any]) -> None:
    """The loop of a Ray Train worker; ``config`` as `build` makes it, with ``report`` added."""
    settings: Settings = config["settings"]
    paths = config["paths"]
    inputs = Inputs(
        Corpus.open(paths["corpus"]),
        ItemVectors.open(paths["vectors"]),
        ItemTokens.open(paths["tokens"]),
        BaseModel.open(paths["base"]),
        AlignmentExamples.open(paths["examples"]),
        Recommender.open(paths["start"]) if "start" in paths else None,
    )
    job = alignment(inputs, settings.align, settings.run.seed)
    logs = Path(config["logs"])
    with Record(logs, settings.align.tracking, settings.run.name) as record:
        trained, rank = train_here(job, config["report"], settings.ray.threads, record)
    if rank == 0:
        upload(logs, logs)
        with handing_over(Path(config["out"])) as out:
            job.export(trained, out)


def _start(settings: Settings) -> dict[str, str]:
    """The model that training starts from, by content."""
    start = settings.align.start
    return {} if start is None else {"start": Recommender.open(start).fingerprint}


STAGE = Stage(
    name="align",
    makes=("model",),
    needs=(Corpus, ItemVectors, ItemTokens, BaseModel, AlignmentExamples),
    reads=("align",),
    code=3,
    build=build,
    raw=_start,
)
STAGES = (examples.STAGE, STAGE)
"""With what it trains on."""


def run(settings: Settings) -> None:
    """Run this stage, and the one that writes what it trains on."""
    run_stages(settings, STAGES)


if __name__ == "__main__":
    main(run, "pipelines.align")
