"""A run that continues another with new items, and with events that its corpus takes in: nothing is fitted again.

What is known keeps its index, its codes and its vectors. A new item has the vector of its text; what the collaborative
models hold of it is the mean of what they hold of its neighbours in text, as in `semconv.tokens.guess`. The language
model and the blend know items by codes and vectors alone, and go along as they are.

N items before, M new ones, D width.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save_file

from semconv.artifacts import (
    Artifact,
    BaseModel,
    Convergence,
    Corpus,
    ItemTokens,
    ItemVectors,
    Recommender,
    Run,
    digest,
    finish,
    request_of,
    staging,
)
from semconv.artifacts.corpus import ITEMS
from semconv.artifacts.manifest import MANIFEST_NAME, Manifest
from semconv.behaviour.encoders import ENCODERS
from semconv.behaviour.item_to_item import TUNED_NAME
from semconv.behaviour.store import COUNTED, Behaviour, read_description
from semconv.config import TokenizeSettings
from semconv.corpus.absorb import absorb
from semconv.corpus.later import Later
from semconv.corpus.newer import NewItems
from semconv.errors import ArtifactError
from semconv.tokens.append import Parent, append_items
from semconv.tokens.guess import guess, references
from semconv.tokens.text_encoder import item_texts

CODE = 1
"""Raised when another run comes of the same parent and the same news."""
Write = Callable[[Path], dict[str, Any]]
"""Fills a folder, and gives the counts that are other than before."""
Encode = Callable[[list[str]], torch.Tensor]
"""Texts to unit vectors float32 (M, D), by the encoder of the parent's vectors."""


class Growth:
    """What is done to ``parent`` to make ``target``; a part that was done before is not done again."""

    def __init__(self, parent: Run, target: Run, new: NewItems, later: Later | None = None) -> None:
        """``later``: events that the corpus takes in, where it is to be trained on anew."""
        self._parent, self._target, self._new, self._later = parent, target, new, later
        self._mark = mark_of(Corpus.open(parent.artifact("corpus")), new, later)

    def catalogue(self, encode: Encode) -> None:
        """Write corpus, vectors, behaviour, base and tokens."""
        before = Corpus.open(self._parent.artifact("corpus"))
        inputs: dict[str, Artifact | str] = {"parent corpus": before.fingerprint, "news": self._mark}
        self._make(before, inputs, partial(self._corpus, before))
        corpus = self._made(Corpus)

        vectors = ItemVectors.open(self._parent.artifact("vectors"))
        self._make(vectors, {"corpus": corpus}, partial(self._vectors, vectors, encode))
        grown = self._made(ItemVectors)

        behaviour = Behaviour.open(self._parent.artifact("behaviour"))
        self._make(behaviour, {"corpus": corpus}, partial(_behaviour, behaviour, grown))
        self.carry(BaseModel, Corpus)

        tokens = ItemTokens.open(self._parent.artifact("tokens"))
        own: dict[str, Artifact | str] = {kind.kind: self._made(kind) for kind in (Corpus, ItemVectors, BaseModel)}
        own |= {"parent_tokens": tokens.fingerprint}
        self._make(tokens, own, partial(_tokens, Parent(tokens, vectors), corpus, grown))

    def model(self) -> None:
        """The language model as it is."""
        self.carry(Recommender, Corpus, ItemVectors, ItemTokens, BaseModel)

    def blend(self) -> None:
        """The blend as it is."""
        self.carry(Convergence, Corpus, ItemVectors, Behaviour, ItemTokens, Recommender)

    def carry(self, kind: type[Artifact], *inputs: type[Artifact]) -> None:
        """An artifact as it is, with the grown run's for its inputs."""
        before = kind.open(self._parent.artifact(kind.kind))
        self._make(before, {one.kind: self._made(one) for one in inputs}, partial(_copy, before.path))

    def _made(self, kind: type[Artifact]) -> Any:
        return kind.open(self._target.artifact(kind.kind))

    def _make(self, before: Artifact, inputs: Mapping[str, Artifact | str], write: Write) -> None:
        told = {name: one.fingerprint if isinstance(one, Artifact) else one for name, one in inputs.items()}
        request = request_of(before.kind, {}, told | {"parent": before.fingerprint, "news": self._mark}, CODE)
        target, old = self._target.artifact(before.kind), before.manifest
        if _request(target) == request:
            return
        with staging(target) as folder:
            counts = old.counts | write(folder)
            finish(
                folder,
                before.kind,
                settings=old.settings,
                inputs=inputs,
                counts=counts,
                request=request,
                seconds=old.seconds,
            )

    def _corpus(self, before: Corpus, folder: Path) -> dict[str, Any]:
        _copy(before.path, folder)
        _add_part(folder / "items", self._new.table.cast(ITEMS))
        for file in sorted(self._new.quarantine.glob("*.parquet")):
            _add_part(folder / "quarantine", pq.read_table(file))
        if self._later is not None:
            absorb(Corpus(folder, before.manifest), self._later)
        grown = Corpus(folder, before.manifest)
        sizes = {"users": grown.n_users, "items": grown.n_items, "interactions": len(grown.sequences.values)}
        return {**sizes, "grown": self._new.rows}

    def _vectors(self, before: ItemVectors, encode: Encode, folder: Path) -> dict[str, Any]:
        texts = item_texts(self._new.table)
        has_text = torch.tensor([bool(text) for text in texts], dtype=torch.bool)
        nothing = torch.zeros(len(texts), before.behaviour.shape[1])
        ItemVectors.write(
            folder,
            text=torch.cat([before.text, encode(texts).float()]) if texts else before.text,
            behaviour=torch.cat([before.behaviour, nothing]),
            has_text=torch.cat([before.has_text, has_text]),
            has_behaviour=torch.cat([before.has_behaviour, torch.zeros_like(has_text)]),
        )
        return {"items": len(before.text) + len(texts), "with_text": int(before.has_text.sum() + has_text.sum())}


def mark_of(corpus: Corpus, new: NewItems, later: Later | None) -> str:
    """Names what is grown from what; the same news after the same corpus has the same mark."""
    events = None if later is None else [later.store, later.seq, later.events.num_rows]
    return digest({"parent": corpus.fingerprint, "items": new.table.to_pylist(), "events": events, "code": CODE})


def _request(target: Path) -> str | None:
    try:
        return Manifest.read(target).request
    except ArtifactError:
        return None


def _copy(source: Path, folder: Path) -> dict[str, Any]:
    """All files but the manifest, as links where the disk has them: nobody changes a file that was published."""
    ignore = shutil.ignore_patterns(MANIFEST_NAME)
    shutil.copytree(source, folder, ignore=ignore, copy_function=_link, dirs_exist_ok=True)
    return {}


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _add_part(folder: Path, table: pa.Table) -> None:
    """A file more, after all that are there."""
    if table.num_rows:
        number = len(list(folder.glob("*.parquet")))
        pq.write_table(table.combine_chunks(), folder / f"part-{number:05d}.parquet", compression="zstd")


def _tokens(parent: Parent, corpus: Corpus, vectors: ItemVectors, folder: Path) -> dict[str, Any]:
    settings = TokenizeSettings(**parent.tokens.manifest.settings["tokenize"])
    appended = append_items(parent, corpus.item_ids, vectors, settings)
    appended.write(folder, corpus.item_ids)
    return {name: appended.quality[name] for name in ("items", "unique_tuples", "reassigned", "kept", "new")}


def _behaviour(before: Behaviour, vectors: ItemVectors, folder: Path) -> dict[str, Any]:
    """The collaborative models with rows for the new items: no votes, no purchases, embeddings by their neighbours."""
    many = len(before.counts)
    new = len(vectors.text) - many
    counted = load_file(before.path / COUNTED)
    counted["counts"] = torch.cat([counted["counts"], counted["counts"].new_zeros(new)])
    save_file(_without_votes(counted, new), folder / COUNTED)
    if (before.path / f"{TUNED_NAME}.json").exists():
        tuned = f"{TUNED_NAME}.safetensors"
        save_file(_without_votes(load_file(before.path / tuned), new), folder / tuned)
        _describe(before.path, folder, TUNED_NAME, many + new)
    for name in before.encoders:
        description = _describe(before.path, folder, name, many + new)
        kind = ENCODERS[name]
        shapes = kind.empty(many + new, kind.settings(**description["settings"])).state_dict()
        weights = load_file(before.path / f"{name}.safetensors")
        grown = {part: _grown(value, shapes[part].shape, vectors, many) for part, value in weights.items()}
        save_file(grown, folder / f"{name}.safetensors")
    return {"items": many + new}


def _describe(before: Path, folder: Path, name: str, items: int) -> dict[str, Any]:
    description = read_description(before, name) | {"n_items": items}
    (folder / f"{name}.json").write_text(json.dumps(description, indent=2) + "\n")
    return description


def _without_votes(stored: Mapping[str, torch.Tensor], new: int) -> dict[str, torch.Tensor]:
    """A counter in which nobody votes for the new items, nor they for anybody."""
    offsets = stored["votes_offsets"]
    return {**stored, "votes_offsets": torch.cat([offsets, offsets[-1:].expand(new)]).contiguous()}


def _grown(value: torch.Tensor, wanted: torch.Size, vectors: ItemVectors, many: int) -> torch.Tensor:
    """A weight with rows for the new items where it has one an item; what lies behind the items stays behind them."""
    if value.shape == wanted:
        return value
    across = next(place for place, size in enumerate(wanted) if size != value.shape[place])
    rows = value.movedim(across, 0)
    items, rest = rows[:many], rows[many:]
    told = torch.nonzero(vectors.has_text[:many])[:, 0]
    told = told[references(len(told))]
    guessed = guess(vectors.text[many:], vectors.text[told], items.reshape(many, -1)[told].float())
    new = guessed.to(value.dtype).view(len(guessed), *items.shape[1:])
    return torch.cat([items, new, rest]).movedim(0, across).contiguous()
