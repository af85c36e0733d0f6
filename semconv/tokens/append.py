"""The next version of a catalogue's tokens: what is known keeps its codes, what is new gets some that are free.

Legend: N items of the new catalogue, M of them new, K items that the earlier version knows, live or reserved, L levels
of codes, D width.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from semconv.artifacts import ItemTokens, ItemVectors, Run, check_lineage
from semconv.artifacts.ragged import Int32
from semconv.artifacts.tokens import CODES, RESERVED, VERSIONS, write_codes
from semconv.config import Settings, TokenizeSettings, determining
from semconv.errors import ArtifactError, SettingError
from semconv.tokens.collisions import resolve_collisions
from semconv.tokens.fusion import check_finite
from semconv.tokens.quality import reconstruction_errors, resolved_figures
from semconv.tokens.text_encoder import PACKAGED
from semconv.tokens.tokenizer import DESCRIPTION, QUALITY, TENSORS, ItemTokenizer


@dataclass(frozen=True)
class Parent:
    """An earlier version, and the vectors it was fitted on or grown by."""

    tokens: ItemTokens
    vectors: ItemVectors

    @classmethod
    def open(cls, run: Run) -> Parent:
        """Raises `ArtifactError` where one is absent, or they do not belong together."""
        tokens, vectors = ItemTokens.open(run.artifact("tokens")), ItemVectors.open(run.artifact("vectors"))
        check_lineage((tokens, vectors))
        return cls(tokens, vectors)


@dataclass(frozen=True)
class Appended:
    """Codes int64 (N, L), the items that stay reserved, the parent, and the quality report."""

    codes_NL: torch.Tensor
    reserved_ids: list[str]
    reserved_codes: Int32
    parent: ItemTokens
    quality: dict[str, Any]

    def write(self, folder: Path, item_ids: list[str]) -> None:
        """Write the files of `ItemTokens`; the tokenizer's are the parent's, byte for byte."""
        write_codes(folder / CODES, item_ids, self.codes_NL.numpy())
        write_codes(folder / RESERVED, self.reserved_ids, self.reserved_codes)
        for name in (TENSORS, DESCRIPTION):
            shutil.copyfile(self.parent.path / name, folder / name)
        ancestors = [*self.parent.ancestors, self.parent.fingerprint]
        (folder / VERSIONS).write_text(json.dumps({"ancestors": ancestors}, indent=2) + "\n")
        (folder / QUALITY).write_text(json.dumps(self.quality, indent=2) + "\n")


def parent_run(settings: Settings) -> Run | None:
    """The run whose tokens this one continues, none where it fits its own.

    Raises `SettingError` when it is not there, or when another ``tokenize`` setting contradicts the one that the
    parent's tokenizer was made with; `ArtifactError` when its tokens cannot be opened.
    """
    if not settings.tokenize.append:
        return None
    run = Run.of(settings.run, settings.run.parent)
    if not run.exists():
        raise SettingError(
            f"run.parent is '{settings.run.parent}', and there is no run {run.shown}",
            "Give the name of a run under run.root that has tokens",
        )
    frozen = _leaves(ItemTokens.described(run.artifact("tokens")).manifest.settings["tokenize"])
    for name, value in _leaves(determining(settings.tokenize)).items():
        if name != "append" and frozen.get(name, value) != value:
            raise SettingError(
                f"tokenize.{name} is {value} and the tokens of {run.shown} were made with {frozen[name]}, "
                "which tokenize.append keeps",
                f"Set tokenize.{name} to {frozen[name]}, or tokenize without --append",
            )
    return run


def append_items(parent: Parent, item_ids: list[str], vectors: ItemVectors, settings: TokenizeSettings) -> Appended:
    """Codes of a catalogue that gained or lost items since the parent's, by the parent's frozen tokenizer.

    An item is known by its id. One that the parent knows keeps its codes, also where it was reserved there and comes
    back. A new one gets the nearest codes to its text alone: behaviour vectors of another run lie in another space. Its
    tuple is free by the rule of ``tokenize.collisions``, nobody's who is live or reserved as long as there are others
    (`resolve_collisions`). Items that are known and gone stay reserved. Deterministic.

    The quality report counts ``kept``, ``new``, ``returned`` and ``removed`` items, and ``reserved`` ones in all; what
    became of new items on the way from their nearest codes is its ``reassigned``. Its errors are those of the new
    items that have text, whose vectors are fused from it alone, over their squared distance from the mean of the
    catalogue that the tokenizer was fitted on; null where there are none, or all lie there. Kept codes are not asked,
    for they were fitted to more than text.

    Raises `ArtifactError` on text vectors that are not finite, or of another encoder or width than the parent's, and
    when the parent's tokenizer reads no text.
    """
    tokens = parent.tokens
    tokenizer = ItemTokenizer.open(tokens)
    _require_same_text(parent, vectors, tokenizer)
    reserved_ids, reserved_codes = tokens.reserved
    known_ids = [*tokens.item_ids, *reserved_ids]
    known_codes = np.concatenate([tokens.codes, reserved_codes])
    row_of = {item_id: row for row, item_id in enumerate(known_ids)}
    rows_N = np.asarray([row_of.get(item_id, -1) for item_id in item_ids], np.int64)
    new_N = rows_N < 0
    gone_K = np.ones(len(known_ids), bool)
    gone_K[rows_N[~new_N]] = False

    new = torch.from_numpy(np.flatnonzero(new_N))
    told_M = vectors.has_text[new]
    # Of the new ones alone: each guess searches all references, and a catalogue is large.
    fused_MD = tokenizer.fusion(tokenizer.text_alone(vectors.text[new], told_M))
    known_KL = torch.from_numpy(known_codes).long()
    nearest_ML = tokenizer.quantizer.encode(fused_MD)
    coded_ML = resolve_collisions(tokenizer.quantizer, fused_MD, nearest_ML, settings.collisions, known_KL)
    codes_NL = known_KL[torch.from_numpy(rows_N)]
    nearest_NL = codes_NL[:, : nearest_ML.shape[1]].clone()
    codes_NL[new], nearest_NL[new] = coded_ML, nearest_ML

    live = len(tokens.item_ids)
    # Those without text lie all at one point, which says nothing of how codes keep vectors.
    told_ML = coded_ML[told_M, : nearest_ML.shape[1]]
    quality = {
        **resolved_figures(codes_NL, nearest_NL, tokenizer.quantizer.codebooks.shape[1]),
        **reconstruction_errors(
            tokenizer.quantizer, fused_MD[told_M], told_ML, nearest_ML[told_M], torch.zeros(fused_MD.shape[1])
        ),
        "kept": int((~new_N & (rows_N < live)).sum()),
        "new": int(new_N.sum()),
        "returned": int((rows_N >= live).sum()),
        "removed": int(gone_K[:live].sum()),
        "reserved": int(gone_K.sum()),
    }
    still_reserved = [item_id for item_id, gone in zip(known_ids, gone_K.tolist(), strict=True) if gone]
    return Appended(codes_NL, still_reserved, known_codes[gone_K], tokens, quality)


def _require_same_text(parent: Parent, vectors: ItemVectors, tokenizer: ItemTokenizer) -> None:
    if "text" not in tokenizer.fusion.weights:
        raise ArtifactError(
            f"The tokenizer of {parent.tokens.path} reads no text, and of a new item there is nothing else",
            "Tokenize without --append",
        )
    before, now = text_encoder(parent.vectors), text_encoder(vectors)
    widths = len(tokenizer.fusion.projections["text"].mean_D), vectors.text.shape[1]
    if before != now or widths[0] != widths[1]:
        raise ArtifactError(
            f"{parent.tokens.path} encodes text by {before} in width {widths[0]}, "
            f"and {vectors.path} holds text encoded by {now} in width {widths[1]}",
            "Redo the stage embed with the parent's embed.text_model, or tokenize without --append",
        )
    check_finite("text", vectors.text)


def text_encoder(vectors: ItemVectors) -> str:
    """What encoded the text: the content of a folder, or the name of a model; all names of the packaged one are one."""
    stored = vectors.manifest
    name = str(stored.inputs.get("text_model") or stored.settings.get("embed", {}).get("text_model"))
    return PACKAGED[0] if name in PACKAGED else name


def _leaves(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by dotted name."""
    found: dict[str, Any] = {}
    for name, value in section.items():
        found |= _leaves(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found
