"""Tokenize: every item's vectors to its tuple of codes, fitted in one Ray task.

python -m pipelines.tokenize_items --config configs/beauty.yaml
python -m pipelines.tokenize_items --config configs/beauty.yaml --run.name may --run.parent april --append
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ray
import torch

from pipelines.cluster import RemoteReport, remote_report
from pipelines.stage import Stage, Work, run_stages
from semconv.artifacts import BaseModel, Corpus, ItemTokens, ItemVectors, Manifest, Run
from semconv.artifacts.handover import collect, handing_over
from semconv.cli import main
from semconv.config import Settings, TokenizeSettings
from semconv.errors import ArtifactError
from semconv.llm.title_embeddings import title_embeddings
from semconv.tokens.append import Parent, append_items, parent_run
from semconv.tokens.contrast import Target
from semconv.tokens.tokenizer import tokenize_items


@ray.remote
def fit_and_write(
    corpus: str, vectors: str, base: str, folder: str, settings: dict[str, Any], seed: int, report: RemoteReport
) -> dict[str, Any]:
    """Open the inputs by path, fit, write the codes into ``folder``; returns the quality report."""
    chosen, catalogue = TokenizeSettings(**settings), Corpus.open(corpus)
    words = None
    if chosen.align_weight:
        report(0, 1, "reading titles with the base model")
        words = Target.of("title", *title_embeddings(BaseModel.open(base), catalogue.items["title"].to_pylist()))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenized = tokenize_items(ItemVectors.open(vectors), chosen, seed=seed, words=words, device=device, report=report)
    with handing_over(Path(folder)) as out:
        tokenized.write(out, catalogue.item_ids)
    return tokenized.quality


@ray.remote
def append_and_write(parent: Run, corpus: str, vectors: str, folder: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Continue the tokens of ``parent``, write the codes into ``folder``; returns the quality report."""
    item_ids = Corpus.open(corpus).item_ids
    earlier = Parent.open(parent)
    appended = append_items(earlier, item_ids, ItemVectors.open(vectors), TokenizeSettings(**settings))
    with handing_over(Path(folder)) as out:
        appended.write(out, item_ids)
    return appended.quality


def build(work: Work) -> None:
    """Write the tokens: of a run of its own, or of one that continues another."""
    quality = _append(work) if work.settings.tokenize.append else _fit(work)
    collect(work.out("tokens"))
    work.count("tokens", **{name: quality[name] for name in ("items", "unique_tuples", "reassigned")})
    error = "" if quality["error"] is None else f"error {quality['error']:.3f}, "
    work.line.say(
        f"{quality['items']} items, {quality['unique_tuples']} distinct tuples, {quality['reassigned']} reassigned, "
        f"{error}perplexity " + " ".join(f"{p:.0f}" for p in quality["perplexity"])
    )


def _append(work: Work) -> dict[str, Any]:
    run, chosen = work.settings.run, work.settings.tokenize
    inputs, parent = [work.input(kind).path for kind in (Corpus, ItemVectors)], Run.of(run, run.parent)
    paths = [str(path.absolute()) for path in (*inputs, work.out("tokens"))]
    task = append_and_write.remote(parent.absolute(), *paths, chosen.model_dump(mode="json"))
    quality: dict[str, Any] = ray.get(task)
    counts = {name: quality[name] for name in ("kept", "new", "returned", "removed", "reserved")}
    work.count("tokens", **counts)
    work.line.say(f"continues {run.parent}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    tokens = ItemTokens.described(parent.artifact("tokens"))
    if chosen.align_weight and tokens.lineage().get("base") != work.input(BaseModel).fingerprint:
        work.line.say("the parent had another base model: with align.spelling tokens set align.code_rows to random")
    return quality


def _fit(work: Work) -> dict[str, Any]:
    """An RQ-VAE takes a GPU where the cluster has one."""
    chosen = work.settings.tokenize
    inputs = [work.input(kind).path for kind in (Corpus, ItemVectors, BaseModel)]
    paths = [str(path.absolute()) for path in (*inputs, work.out("tokens"))]
    gpus = int(chosen.quantizer == "rqvae" and work.room.gpus_for("tokenize", 1))
    with remote_report(work.line) as report:
        task = fit_and_write.options(num_gpus=gpus)
        seed = work.settings.run.seed
        quality: dict[str, Any] = ray.get(task.remote(*paths, chosen.model_dump(mode="json"), seed, report))
    return quality


def parent_tokens(settings: Settings) -> dict[str, str]:
    """Fingerprint of the tokens that are continued, where there are any; refuses as `parent_run` does."""
    run = parent_run(settings)
    return {} if run is None else {"parent_tokens": ItemTokens.described(run.artifact("tokens")).fingerprint}


def accept(run: Run, earlier: Manifest, raw: dict[str, str]) -> None:
    """Refuse to give items anew the codes that they hold by continuing another run's: nobody could follow."""
    continued = earlier.inputs.get("parent_tokens")
    if continued is not None and raw.get("parent_tokens") != continued:
        raise ArtifactError(
            f"The tokens of {run.shown} continue those of another run; this command would give every item new codes",
            "Give --append and --run.parent as before, with that run's tokens as they were, or another --run.name",
        )


STAGE = Stage(
    name="tokenize",
    makes=("tokens",),
    needs=(Corpus, ItemVectors, BaseModel),
    reads=("tokenize",),
    code=3,
    build=build,
    raw=parent_tokens,
    accepts=accept,
)


def run(settings: Settings) -> None:
    """Run this stage alone."""
    run_stages(settings, (STAGE,))


if __name__ == "__main__":
    main(run, "pipelines.tokenize_items")
