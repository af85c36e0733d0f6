"""The whole job: every stage in order, skipping what is up to date.

python -m pipelines.run --config configs/beauty.yaml --corpus.path DIR
ray job submit --working-dir . -- python -m pipelines.run --config configs/beauty.yaml \\
    --corpus.path /shared/data/beauty --run.root /shared/runs
"""

from __future__ import annotations

from pipelines import align, base, converge, embed, evaluate, examples, ingest, precache, tokenize_items
from pipelines.refit import refitted
from pipelines.stage import Stage, run_stages
from semconv.cli import main
from semconv.config import Settings

STAGES = (
    ingest.STAGE,
    embed.STAGE,
    base.STAGE,
    tokenize_items.STAGE,
    examples.STAGE,
    align.STAGE,
    converge.STAGE,
    evaluate.STAGE,
    precache.STAGE,
)


def run(settings: Settings) -> None:
    """Run every stage up to ``run.until``.

    Where that evaluates, first all of it with each of ``evaluate.seeds``, and refitted if ``evaluate.refit`` says so.
    """
    stages = _until(settings)
    if evaluate.STAGE in stages:
        for seed in settings.evaluate.seeds:
            again = evaluate.reseeded(settings, seed)
            run_stages(again, _until(again))
        if settings.evaluate.refit:
            choosing, stages = _parted(stages)
            run_stages(settings, choosing)
            again = refitted(settings)
            run_stages(again, _until(again))
    run_stages(settings, stages)
    if precache.STAGE in stages:
        precache.settle(settings)


def _parted(stages: tuple[Stage, ...]) -> tuple[tuple[Stage, ...], tuple[Stage, ...]]:
    """The stages before the evaluation, and those from it on."""
    place = stages.index(evaluate.STAGE)
    return stages[:place], stages[place:]


def _until(settings: Settings) -> tuple[Stage, ...]:
    last = [stage.name for stage in STAGES].index(settings.run.until)
    return STAGES[: last + 1]


if __name__ == "__main__":
    main(run, "pipelines.run")
