"""Item text, and the encoder: real weights, checked, or one clear error."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from semconv.artifacts.corpus import ITEMS
from semconv.errors import ArtifactError, SettingError
from semconv.tokens.text_encoder import (
    DESCRIPTION_CHARACTERS,
    PACKAGE,
    TextEncoder,
    by_length,
    check_digest,
    item_texts,
    packaged_folder,
)


def texts(*rows: dict[str, object]) -> list[str]:
    return item_texts(pa.Table.from_pylist([{"item_id": "x", **row} for row in rows], schema=ITEMS))


def test_text_is_title_brand_categories_and_description() -> None:
    whole = {"title": "Red polish", "brand": "OPI", "categories": ["Nails", "Polish"], "description": " Glossy. "}
    assert texts(whole, {"brand": "OPI", "title": " "}, {"categories": [" ", None]}) == [
        "Red polish. OPI. Nails, Polish. Glossy.",
        "OPI",
        "",
    ]
    assert texts({"description": "x" * 5000}) == ["x" * DESCRIPTION_CHARACTERS]


def test_order_by_length_leaves_the_silent_out() -> None:
    assert by_length(["ccc", "", "a", "bb", "b"]) == [2, 4, 3, 0]


@pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason="semconv[offline] is not installed")
def test_the_packaged_encoder_knows_what_is_alike() -> None:
    encoder = TextEncoder("all-MiniLM-L6-v2")
    said = ["red nail polish", "", "shampoo for dry hair", "nail lacquer, crimson"]
    vectors = encoder.encode(said, batch_size=2)
    assert vectors.shape == (4, encoder.width) == (4, 384)
    torch.testing.assert_close(vectors.norm(dim=1), torch.tensor([1.0, 0.0, 1.0, 1.0]))
    assert vectors[0] @ vectors[3] > vectors[0] @ vectors[2] + 0.2
    torch.testing.assert_close(encoder.encode(said[3:]), vectors[3:], atol=1e-5, rtol=0)


def test_altered_weights_are_refused_and_the_packages_code_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "altered_encoder" / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").write_text("raise SystemExit('the code of the package was run')")
    (model / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ArtifactError, match="SHA-256"):
        packaged_folder("altered_encoder")
    (model / "model.safetensors").unlink()
    with pytest.raises(ArtifactError, match="missing"):
        packaged_folder("altered_encoder")


def test_one_flipped_bit_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    check_digest(file, digest)
    file.write_bytes(b"abb")
    with pytest.raises(ArtifactError, match=digest):
        check_digest(file, digest)


def test_a_package_that_is_absent_is_named_with_the_remedy() -> None:
    with pytest.raises(ArtifactError, match=r"pip install semconv\[offline\]"):
        packaged_folder("no_such_encoder_package")


def test_a_model_that_cannot_be_loaded_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "empty").mkdir()
    for source in (str(tmp_path / "empty"), "nobody/no-such-model"):
        with pytest.raises(SettingError, match=r"embed.text_model '.*' cannot be loaded.*all-MiniLM-L6-v2"):
            TextEncoder(source)
