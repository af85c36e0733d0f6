"""Tokenize on a cluster: vectors to codes through the real stage."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines import ingest, tokenize_items
from pipelines.stage import run_stages
from semconv.artifacts import Corpus, ItemTokens, ItemVectors, Run, finish, staging
from semconv.config import RqVaeSettings, Settings
from semconv.errors import ArtifactError, SemconvError, SettingError
from semconv.llm.small import small_model, train_tokenizer
from semconv.llm.trie import Trie
from semconv.tokens.contrast import projected_codes
from semconv.tokens.tokenizer import ItemTokenizer
from tests.unit.training.tiny_inputs import BASE


def ingest_with_vectors(
    settings: Settings, root: Path, *, broken: bool = False, width: int = 20
) -> tuple[Settings, Run]:
    """A run that holds a real corpus, random vectors for it, and a base model with random weights."""
    settings = settings.model_copy(update={"run": settings.run.model_copy(update={"root": str(root)})})
    run_stages(settings, (ingest.STAGE,))
    run = Run(settings.run.root, settings.run.name)
    corpus = Corpus.open(run.artifact("corpus"))
    generator = torch.Generator().manual_seed(0)
    text, behaviour = (torch.randn(corpus.n_items, width, generator=generator) for _ in range(2))
    text[0, 0] = torch.nan if broken else 0.0
    everyone = torch.ones(corpus.n_items, dtype=torch.bool)
    with staging(run.artifact("vectors")) as folder:
        ItemVectors.write(folder, text=text, behaviour=behaviour, has_text=everyone, has_behaviour=everyone.clone())
        finish(folder, "vectors", settings={}, inputs={"corpus": corpus}, counts={}, request="", seconds=0)
    tokenizer = train_tokenizer([title or "" for title in corpus.items["title"].to_pylist()], BASE.vocab_size)
    with staging(run.artifact("base")) as folder:
        small_model(BASE, tokenizer, 3).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        finish(folder, "base", settings={}, inputs={"corpus": corpus}, counts={}, request="", seconds=0)
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
    assert set(tokens.lineage()) >= {"corpus", "vectors", "base", "tokens"}
    rows = projected_codes(tokens.quantizer)
    assert rows is not None
    assert rows.shape == (chosen.levels, chosen.codes, BASE.width)


def test_an_rqvae_is_fitted_by_name_and_without_the_pull_holds_no_projection(
    tiny_settings: Settings, tmp_path: Path
) -> None:
    rqvae = RqVaeSettings(width=8, hidden=(16,), steps=10, batch_size=32)
    chosen = tiny_settings.tokenize.model_copy(update={"quantizer": "rqvae", "rqvae": rqvae, "align_weight": 0.0})
    settings, run = ingest_with_vectors(tiny_settings.model_copy(update={"tokenize": chosen}), tmp_path)
    run_stages(settings, (tokenize_items.STAGE,))
    tokens = ItemTokens.open(run.artifact("tokens"))
    assert json.loads((tokens.path / "quantizer.json").read_text())["quantizer"] == "rqvae"
    assert ItemTokenizer.open(tokens).name == "rqvae"
    assert projected_codes(tokens.quantizer) is None
    assert len(np.unique(tokens.codes, axis=0)) == len(tokens.codes)


def test_vectors_that_hold_nan_are_one_message_and_leave_no_tokens(tiny_settings: Settings, tmp_path: Path) -> None:
    settings, run = ingest_with_vectors(tiny_settings, tmp_path, broken=True)
    with pytest.raises(SemconvError, match="text vectors of 1 items hold NaN"):
        run_stages(settings, (tokenize_items.STAGE,))
    assert not run.artifact("tokens").exists()


def shop(root: Path, items: range) -> Path:
    """Raw input of a shop that sells these items, each to two users."""
    root.mkdir()
    rows = [f"u{user},i{item},{item}" for item in items for user in (item % 7, 7 + item % 5)]
    titles = [json.dumps({"item_id": f"i{item}", "title": f"thing number {item}"}) for item in items]
    (root / "interactions.csv.gz").write_bytes(gzip.compress("\n".join(["user_id,item_id,position", *rows]).encode()))
    (root / "items.jsonl.gz").write_bytes(gzip.compress("\n".join(titles).encode()))
    return root


def shop_settings(tiny: Settings, name: str, path: Path, parent: str | None = None) -> Settings:
    run = tiny.run.model_copy(update={"name": name, "parent": parent})
    corpus = tiny.corpus.model_copy(update={"reader": "native", "path": str(path), "k_core": 0})
    tokenize = tiny.tokenize.model_copy(update={"append": parent is not None})
    return tiny.model_copy(update={"run": run, "corpus": corpus, "tokenize": tokenize})


def test_a_catalogue_that_gained_and_lost_items_continues_the_earlier_tokens(
    tiny_settings: Settings, tmp_path: Path
) -> None:
    settings, run = ingest_with_vectors(
        shop_settings(tiny_settings, "april", shop(tmp_path / "a", range(30))), tmp_path / "runs"
    )
    run_stages(settings, (tokenize_items.STAGE,))
    april = ItemTokens.open(run.artifact("tokens"))
    settings, run = ingest_with_vectors(
        shop_settings(tiny_settings, "may", shop(tmp_path / "b", range(6, 40)), "april"), tmp_path / "runs"
    )
    refused = settings.tokenize.model_copy(update={"codes": 8})
    with pytest.raises(SettingError, match=r"tokenize\.codes is 8 and the tokens of .* were made with 16"):
        run_stages(settings.model_copy(update={"tokenize": refused}), (tokenize_items.STAGE,))
    assert not run.artifact("tokens").exists()
    run_stages(settings, (tokenize_items.STAGE,))
    may, corpus = ItemTokens.open(run.artifact("tokens")), Corpus.open(run.artifact("corpus"))

    before, after = (dict(zip(t.item_ids, map(tuple, t.codes.tolist()), strict=True)) for t in (april, may))
    assert may.item_ids == corpus.item_ids
    assert {i: codes for i, codes in after.items() if i in before} == {i: before[i] for i in after if i in before}
    assert len(set(before.values()) | set(after.values())) == len(before.keys() | after.keys()) == 40
    assert sorted(may.reserved[0]) == sorted(f"i{item}" for item in range(6))
    trie = Trie.build(may.codes, may.codes_per_level)
    assert trie.n_items == 34
    leaves = {tuple(may.codes[item].tolist()) for item in trie.items.tolist()}
    assert not leaves & set(map(tuple, may.reserved[1].tolist()))
    assert may.manifest.inputs["parent_tokens"] == april.fingerprint
    assert may.ancestors == (april.fingerprint,)
    assert may.lineage()["corpus"] == corpus.fingerprint != april.lineage()["corpus"]
    assert may.manifest.counts["kept"] == 24
    written = may.manifest.created, may.fingerprint
    run_stages(settings, (tokenize_items.STAGE,))
    again = ItemTokens.open(run.artifact("tokens"))
    assert (again.manifest.created, again.fingerprint) == written

    alone = settings.model_copy(
        update={
            "run": settings.run.model_copy(update={"parent": None}),
            "tokenize": settings.tokenize.model_copy(update={"append": False}),
        }
    )
    with pytest.raises(ArtifactError, match="continue those of another run"):
        run_stages(alone, (tokenize_items.STAGE,))
    assert ItemTokens.open(run.artifact("tokens")).fingerprint == may.fingerprint


def test_text_of_another_width_than_the_parents_leaves_no_tokens(tiny_settings: Settings, tmp_path: Path) -> None:
    settings, run = ingest_with_vectors(
        shop_settings(tiny_settings, "april", shop(tmp_path / "a", range(20))), tmp_path / "runs"
    )
    run_stages(settings, (tokenize_items.STAGE,))
    settings, run = ingest_with_vectors(
        shop_settings(tiny_settings, "may", shop(tmp_path / "b", range(25)), "april"), tmp_path / "runs", width=12
    )
    with pytest.raises(SemconvError, match=r"in width 20, and .* in width 12"):
        run_stages(settings, (tokenize_items.STAGE,))
    assert not run.artifact("tokens").exists()
