"""base: the language model before alignment, pretrained here on the catalogue's text or taken over from elsewhere.

python -m pipelines.base --config configs/beauty.yaml --base.epochs 5
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.cluster import sharing_cores
from pipelines.stage import Stage, Work, local_files, run_stages
from pipelines.train import fit
from pipelines.worker import work as train_here
from semconv.artifacts import Corpus
from semconv.artifacts.handover import collect, handing_over
from semconv.cli import main
from semconv.config import Settings
from semconv.training.pretrain import pretraining, take_over


def build(work: Work) -> None:
    """Fill the base artifact."""
    settings = work.settings
    folder = work.out("base")
    if settings.base.model is not None:
        parameters = take_over(settings.base.model, folder)
        work.count("base", parameters=parameters)
        return
    corpus = work.input(Corpus)
    workers = settings.base.workers
    told = sharing_cores(settings, workers)
    config = {"corpus": str(corpus.path.absolute()), "settings": told, "out": str(folder.absolute())}
    fit(work, _loop, config, name="base", workers=workers, gpu=work.room.gpus_for("base.workers", workers))
    collect(folder)


def _loop(config: dict[str, Any]) -> None:
    settings: Settings = config["settings"]
    job = pretraining(Corpus.open(config["corpus"]), settings.base, settings.run.seed)
    trained, rank = train_here(job, config["report"], settings.ray.threads)
    if rank == 0:
        with handing_over(Path(config["out"])) as out:
            job.export(trained, out)


STAGE = Stage(
    name="base",
    makes=("base",),
    needs=(Corpus,),
    reads=("base",),
    code=3,
    build=build,
    raw=lambda settings: local_files("pretrained", settings.base.model),
)


def run(settings: Settings) -> None:
    """Run this stage alone."""
    run_stages(settings, (STAGE,))


if __name__ == "__main__":
    main(run, "pipelines.base")
