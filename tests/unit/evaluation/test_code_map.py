"""The map of a run's codes: of the items that have a vector, in the space that the codes were fitted in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from semconv.artifacts import ItemTokens, ItemVectors, finish
from semconv.artifacts.tokens import VERSIONS
from semconv.config import TokenizeSettings
from semconv.evaluation.code_map import code_map
from semconv.tokens.tokenizer import tokenize_items

N_ITEMS, GROUPS = 36, 3
SETTINGS = TokenizeSettings(
    levels=2, codes=GROUPS, text_weight=0.1, text_components=4, behaviour_components=4, align_weight=0
)


def write_vectors(folder: Path) -> ItemVectors:
    """Groups of items far apart in behaviour and not in text; a sixth of the items has neither."""
    generator = torch.Generator().manual_seed(0)
    known = torch.arange(N_ITEMS) % 6 != 5
    centres = 10 * torch.eye(GROUPS, 5)[torch.arange(N_ITEMS) % GROUPS]
    behaviour = (centres + 0.1 * torch.randn(N_ITEMS, 5, generator=generator)) * known[:, None]
    text = torch.randn(N_ITEMS, 6, generator=generator) * known[:, None]
    folder.mkdir()
    ItemVectors.write(folder, text=text, behaviour=behaviour, has_text=known, has_behaviour=known.clone())
    finish(folder, "vectors", settings={}, inputs={}, counts={}, request="", seconds=0)
    return ItemVectors.open(folder)


def write_tokens(folder: Path, vectors: ItemVectors, ancestors: list[str]) -> ItemTokens:
    folder.mkdir()
    tokenize_items(vectors, SETTINGS, seed=1).write(folder, [f"i{n}" for n in range(N_ITEMS)])
    if ancestors:
        (folder / VERSIONS).write_text(json.dumps({"ancestors": ancestors}))
    settings = {"tokenize": SETTINGS.model_dump(mode="json")}
    finish(folder, "tokens", settings=settings, inputs={}, counts={}, request="", seconds=0)
    return ItemTokens.open(folder)


@pytest.mark.parametrize(("ancestors", "space"), [([], "fused"), (["earlier"], "text")])
def test_items_of_one_first_code_lie_together_where_the_codes_were_fitted(
    tmp_path: Path, ancestors: list[str], space: str
) -> None:
    vectors = write_vectors(tmp_path / "vectors")
    tokens = write_tokens(tmp_path / "tokens", vectors, ancestors)
    drawn = code_map(tokens, vectors, seed=4)
    shown = np.flatnonzero(vectors.has_text.numpy())
    assert drawn.caption == f"{len(shown)} items in {space} space, by principal components"
    assert drawn.first_codes.tolist() == tokens.codes[shown, 0].tolist()
    codes = np.unique(drawn.first_codes)
    assert len(codes) == GROUPS
    centres = np.stack([drawn.places[drawn.first_codes == code].mean(axis=0) for code in codes])
    nearest = codes[np.linalg.norm(drawn.places[:, None] - centres, axis=2).argmin(axis=1)]
    together = np.mean(nearest == drawn.first_codes)
    assert together > 0.9 if space == "fused" else together < 0.9
    assert drawn.figure("a <b>map</b>").count("<g fill=") == GROUPS
    assert "<b>" not in drawn.figure("a <b>map</b>")
