"""Behaviour: the fitted collaborative models of a corpus, which serve as baselines, fallback and partner.

behaviour.safetensors            counts int64 (N,); votes of the fixed item-to-item counter as CSR: votes_data float32,
                                 votes_indices int32, votes_offsets int64 (N + 1)
item_to_item_tuned.safetensors   votes of the tuned counter, in the same way, where it was fitted
item_to_item_tuned.json          its settings, how many were tried, on how many validation users, and what they
                                 reached there (kept), beside what the fixed counter did (fixed)
NAME.safetensors                 weights of an encoder: sasrec, lightgcn, dccf, whichever were fitted
NAME.json                        its settings, the number of items, its training curve, and the point that was kept
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import scipy.sparse as sp
import torch
from safetensors.torch import load_file, save_file

from semconv.artifacts import Artifact
from semconv.behaviour.encoders import ENCODERS, Fitted
from semconv.behaviour.item_to_item import FIXED_NAME, TUNED_NAME, Counting, ItemToItem
from semconv.behaviour.popularity import Popularity
from semconv.behaviour.protocol import BehaviourModel, Encoder
from semconv.behaviour.training import kept
from semconv.behaviour.tuning import Tuned

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
        return ItemToItem(_votes(self._counted), name=FIXED_NAME)

    @cached_property
    def item_to_item_tuned(self) -> ItemToItem | None:
        """The counter whose settings were chosen on validation users; None where none was."""
        if not (self.path / f"{TUNED_NAME}.json").exists():
            return None
        counting = Counting(**read_description(self.path, TUNED_NAME)["settings"])
        return ItemToItem(_votes(load_file(self.path / f"{TUNED_NAME}.safetensors")), counting, name=TUNED_NAME)

    @cached_property
    def encoders(self) -> dict[str, Encoder]:
        """The fitted encoders by name, ready to score."""
        return {name: load_encoder(self.path, name) for name in ENCODERS if (self.path / f"{name}.json").exists()}

    def models(self) -> dict[str, BehaviourModel]:
        """Every fitted model by name: popularity, item_to_item, item_to_item_tuned, and the encoders."""
        counters = (self.item_to_item, self.item_to_item_tuned)
        return {
            self.popularity.name: self.popularity,
            **{counter.name: counter for counter in counters if counter is not None},
            **self.encoders,
        }

    @staticmethod
    def write(
        folder: Path,
        *,
        counts_N: torch.Tensor,
        item_to_item: ItemToItem,
        tuned: Tuned | None = None,
        encoders: Sequence[Fitted],
    ) -> None:
        """Write the fitted models."""
        write_counted(folder, counts_N, item_to_item)
        if tuned is not None:
            write_tuned(folder, tuned)
        for encoder in encoders:
            write_encoder(folder, encoder)


def load_encoder(folder: Path, name: str) -> Encoder:
    """The encoder that `Behaviour.write` left in ``folder``, published or not, in evaluation mode, on the CPU."""
    description = read_description(folder, name)
    kind = ENCODERS[name]
    model = kind.empty(description["n_items"], kind.settings(**description["settings"]))
    model.load_state_dict(load_file(folder / f"{name}.safetensors"))
    return model.eval()


def read_description(folder: Path, name: str) -> dict[str, Any]:
    """``NAME.json`` of an encoder or of the tuned counter in ``folder``."""
    description: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return description


def _vote_tensors(counter: ItemToItem) -> dict[str, torch.Tensor]:
    votes_NN = counter.votes_NN
    return {
        "votes_data": torch.from_numpy(votes_NN.data),
        "votes_indices": torch.from_numpy(votes_NN.indices).int(),
        "votes_offsets": torch.from_numpy(votes_NN.indptr).long(),
    }


def _votes(stored: Mapping[str, torch.Tensor]) -> sp.csr_array:
    data, indices, offsets = (stored[f"votes_{name}"].numpy() for name in ("data", "indices", "offsets"))
    return sp.csr_array((data, indices, offsets), shape=(len(offsets) - 1, len(offsets) - 1))


def write_counted(folder: Path, counts_N: torch.Tensor, item_to_item: ItemToItem) -> None:
    """What is counted alone: how often each item was bought, and the votes of the fixed counter."""
    save_file({"counts": counts_N, **_vote_tensors(item_to_item)}, folder / COUNTED)


def write_tuned(folder: Path, tuned: Tuned) -> None:
    """The counter whose settings were chosen, what was chosen, and what it reached."""
    save_file(_vote_tensors(tuned.model), folder / f"{TUNED_NAME}.safetensors")
    description = {
        "settings": asdict(tuned.model.counting),
        "n_items": tuned.model.votes_NN.shape[0],
        "validation_users": tuned.users,
        "tried": tuned.tried,
        "fixed": asdict(tuned.fixed) if tuned.fixed else None,
        "kept": asdict(tuned.tuned) if tuned.tuned else None,
    }
    (folder / f"{TUNED_NAME}.json").write_text(json.dumps(description, indent=2) + "\n")


def write_encoder(folder: Path, fitted: Fitted) -> None:
    """An encoder with its settings, its training curve and the epoch that was kept."""
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
