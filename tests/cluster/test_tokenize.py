"""Tokenize on a cluster: vectors to codes through the real stage."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines import ingest, tokenize_items
from pipelines.stage import run_stages
from semconv.artifacts import Corpus, ItemTokens, ItemVectors, Run, finish, staging
from semconv.config import Settings
from semconv.errors import SemconvError


def ingest_with_vectors(settings: Settings, root: Path, *, broken: bool = False) -> tuple[Settings, Run]:
    """A run that holds a real corpus, and random vectors for it."""
    settings = settings.model_copy(update={"run": settings.run.model_copy(update={"root": str(root)})})
    run_stages(settings, (ingest.STAGE,))
    run = Run(settings.run.root, settings.run.name)
    corpus = Corpus.open(run.artifact("corpus"))
    generator = torch.Generator().manual_seed(0)
    text, behaviour = (torch.randn(corpus.n_items, 20, generator=generator) for _ in range(2))
    text[0, 0] = torch.nan if broken else 0.0
    everyone = torch.ones(corpus.n_items, dtype=torch.bool)
    with staging(run.artifact("vectors")) as folder:
        ItemVectors.write(folder, text=text, behaviour=behaviour, has_text=everyone, has_behaviour=everyone.clone())
        finish(folder, "vectors", settings={}, inputs={"corpus": corpus}, counts={}, request="", seconds=0)
    return settings, run


def test_every_item_gets_codes_of_its_own(tiny_settings: Settings, tmp_path: Path) -> None:
    settings, run = ingest_with_vectors(tiny_settings, tmp_path)
    run_stages(settings, (tokenize_items.STAGE,))
    tokens, corpus = ItemTokens.open(run.artifact("tokens")), Corpus.open(run.artifact("corpus"))
    chosen = settings.tokenize
    assert tokens.codes.shape == (corpus.n_items, chosen.levels)
    assert tokens.codes.min() >= 0
    assert tokens.codes.max() < chosen.codes
    assert len(np.unique(tokens.codes, axis=0)) == corpus.n_items
    quality = json.loads((tokens.path / "quality.json").read_text())
    assert quality["unique_tuples"] == corpus.n_items == tokens.manifest.counts["items"]
    assert set(tokens.lineage()) >= {"corpus", "vectors", "tokens"}


def test_vectors_that_hold_nan_are_one_message_and_leave_no_tokens(tiny_settings: Settings, tmp_path: Path) -> None:
    settings, run = ingest_with_vectors(tiny_settings, tmp_path, broken=True)
    with pytest.raises(SemconvError, match="text vectors of 1 items hold NaN"):
        run_stages(settings, (tokenize_items.STAGE,))
    assert not run.artifact("tokens").exists()
