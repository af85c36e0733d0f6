"""The whole job: every stage in order, skipping what is up to date.

python -m pipelines.run --config configs/beauty.yaml --corpus.path DIR
ray job submit --working-dir . -- python -m pipelines.run --config configs/beauty.yaml \\
    --corpus.path /shared/data/beauty --run.root /shared/runs
"""

from __future__ import annotations

from pipelines import align, base, converge, embed, evaluate, examples, ingest, precache, tokenize_items
from pipelines.stage import run_stages
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
    """Run every stage up to ``run.until``."""
    last = [stage.name for stage in STAGES].index(settings.run.until)
    run_stages(settings, STAGES[: last + 1])


if __name__ == "__main__":
    main(run, "pipelines.run")
