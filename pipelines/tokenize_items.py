"""Tokenize: every item's vectors to its tuple of codes, fitted in one Ray task.

python -m pipelines.tokenize_items --config configs/beauty.yaml
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ray

from pipelines.cluster import RemoteReport, remote_report
from pipelines.stage import Stage, Work, run_stages
from semconv.artifacts import Corpus, ItemVectors
from semconv.cli import main
from semconv.config import Settings, TokenizeSettings
from semconv.tokens.tokenizer import tokenize_items


@ray.remote
def fit_and_write(
    corpus: str, vectors: str, folder: str, settings: dict[str, Any], seed: int, report: RemoteReport
) -> dict[str, Any]:
    """Open the inputs by path, fit, write the codes into ``folder``; returns the quality report."""
    tokenized = tokenize_items(ItemVectors.open(vectors), TokenizeSettings(**settings), seed=seed, report=report)
    tokenized.write(Path(folder), Corpus.open(corpus).item_ids)
    return tokenized.quality


def build(work: Work) -> None:
    """Write the tokens."""
    settings = work.settings.tokenize.model_dump(mode="json")
    paths = [
        str(path.absolute()) for path in (work.input(Corpus).path, work.input(ItemVectors).path, work.out("tokens"))
    ]
    with remote_report(work.line) as report:
        quality = ray.get(fit_and_write.remote(*paths, settings, work.settings.run.seed, report))
    work.count("tokens", **{name: quality[name] for name in ("items", "unique_tuples", "reassigned")})
    work.line.say(
        f"{quality['items']} items, {quality['unique_tuples']} distinct tuples, {quality['reassigned']} reassigned, "
        f"error {quality['error']:.3f}, perplexity " + " ".join(f"{p:.0f}" for p in quality["perplexity"])
    )


STAGE = Stage(name="tokenize", makes=("tokens",), needs=(Corpus, ItemVectors), reads=("tokenize",), code=1, build=build)


def run(settings: Settings) -> None:
    """Run this stage alone."""
    run_stages(settings, (STAGE,))


if __name__ == "__main__":
    main(run, "pipelines.tokenize_items")
