"""Behaviour: the fitted collaborative models of a corpus, which serve as baselines, fallback and partner.

behaviour.safetensors   counts int64 (N,); item-to-item votes as CSR: votes_data float32, votes_indices int32,
                        votes_offsets int64 (N + 1)
NAME.safetensors        weights of an encoder: sasrec, lightgcn, dccf, whichever were fitted
NAME.json               its settings, the number of items, its training curve, and the point of it that was kept
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import scipy.sparse as sp
import torch
from safetensors.torch import load_file, save_file

from semconv.artifacts import Artifact
from semconv.behaviour.encoders import ENCODERS, Fitted
from semconv.behaviour.item_to_item import ItemToItem
from semconv.behaviour.popularity import Popularity
from semconv.behaviour.protocol import BehaviourModel, Encoder
from semconv.behaviour.training import kept

COUNTED = "behaviour.safetensors"


class Behaviour(Artifact):
    """See the module's own text for the layout."""

    kind = "behaviour"

    @cached_property
    def _counted(self) -> dict[str, torch.Tensor]:
        return load_file(self.path / COUNTED)

    @property
    def counts(self) -> torch.Tensor:
        """Training interactions of every item, int64 (N,); breaks ties wherever items are ranked."""
        return self._counted["counts"]

    @cached_property
    def popularity(self) -> Popularity:
        """The popularity baseline."""
        return Popularity(self.counts)

    @cached_property
    def item_to_item(self) -> ItemToItem:
        """The fixed item-to-item counter."""
        stored = self._counted
        parts = tuple(stored[f"votes_{name}"].numpy() for name in ("data", "indices", "offsets"))
        return ItemToItem(sp.csr_array(parts, shape=(len(self.counts), len(self.counts))))

    @cached_property
    def encoders(self) -> dict[str, Encoder]:
        """The fitted encoders by name, ready to score."""
        return {name: load_encoder(self.path, name) for name in ENCODERS if (self.path / f"{name}.json").exists()}

    def models(self) -> dict[str, BehaviourModel]:
        """Every fitted model by name: popularity, item_to_item, and the encoders."""
        return {
            self.popularity.name: self.popularity,
            self.item_to_item.name: self.item_to_item,
            **self.encoders,
        }

    @staticmethod
    def write(
        folder: Path,
        *,
        counts_N: torch.Tensor,
        item_to_item: ItemToItem,
        encoders: Sequence[Fitted],
    ) -> None:
        """Write the fitted models."""
        votes = item_to_item.votes_NN
        counted = {
            "counts": counts_N,
            "votes_data": torch.from_numpy(votes.data),
            "votes_indices": torch.from_numpy(votes.indices).int(),
            "votes_offsets": torch.from_numpy(votes.indptr).long(),
        }
        save_file(counted, folder / COUNTED)
        for encoder in encoders:
            _write_encoder(folder, encoder)


def load_encoder(folder: Path, name: str) -> Encoder:
    """The encoder that `Behaviour.write` left in ``folder``, published or not, in evaluation mode, on the CPU."""
    description = read_description(folder, name)
    kind = ENCODERS[name]
    model = kind.empty(description["n_items"], kind.settings(**description["settings"]))
    model.load_state_dict(load_file(folder / f"{name}.safetensors"))
    return model.eval()


def read_description(folder: Path, name: str) -> dict[str, Any]:
    """``NAME.json`` of an encoder in ``folder``."""
    description: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return description


def _write_encoder(folder: Path, fitted: Fitted) -> None:
    model, curve = fitted.model, fitted.curve
    weights = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / f"{model.name}.safetensors")
    description = {
        "settings": fitted.settings.model_dump(mode="json"),
        "n_items": model.n_items,
        "kept": asdict(kept(curve)) if curve else None,
        "curve": [asdict(epoch) for epoch in curve],
    }
    (folder / f"{model.name}.json").write_text(json.dumps(description, indent=2) + "\n")
