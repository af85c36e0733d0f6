"""Behaviour: the fitted collaborative models of a corpus, which serve as baselines, fallback and partner.

behaviour.safetensors   counts int64 (N,); item-to-item votes as CSR: votes_data float32, votes_indices int32,
                        votes_offsets int64 (N + 1)
sasrec.safetensors      weights of SASRec
sasrec.json             its settings, the number of items, and its training curve
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import scipy.sparse as sp
import torch
from safetensors.torch import load_file, save_file

from semconv.artifacts import Artifact
from semconv.behaviour.item_to_item import ItemToItem
from semconv.behaviour.popularity import Popularity
from semconv.behaviour.protocol import BehaviourModel
from semconv.behaviour.sasrec import Sasrec
from semconv.behaviour.sasrec_training import Epoch
from semconv.config import SasrecSettings

COUNTED = "behaviour.safetensors"
SASREC = "sasrec.safetensors"
SASREC_SETTINGS = "sasrec.json"


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
    def sasrec(self) -> Sasrec:
        """SASRec, ready to score."""
        return load_sasrec(self.path)

    def models(self) -> dict[str, BehaviourModel]:
        """Every fitted model by name: popularity, item_to_item, sasrec."""
        fitted: tuple[BehaviourModel, ...] = (self.popularity, self.item_to_item, self.sasrec)
        return {model.name: model for model in fitted}

    @staticmethod
    def write(
        folder: Path,
        *,
        counts_N: torch.Tensor,
        item_to_item: ItemToItem,
        sasrec: Sasrec,
        settings: SasrecSettings,
        curve: Sequence[Epoch],
    ) -> None:
        """Write the fitted models; ``settings`` are those that ``sasrec`` was made with."""
        votes = item_to_item.votes_NN
        counted = {
            "counts": counts_N,
            "votes_data": torch.from_numpy(votes.data),
            "votes_indices": torch.from_numpy(votes.indices).int(),
            "votes_offsets": torch.from_numpy(votes.indptr).long(),
        }
        save_file(counted, folder / COUNTED)
        save_file({name: value.cpu().contiguous() for name, value in sasrec.state_dict().items()}, folder / SASREC)
        description = {
            "settings": settings.model_dump(mode="json"),
            "n_items": sasrec.n_items,
            "curve": [asdict(epoch) for epoch in curve],
        }
        (folder / SASREC_SETTINGS).write_text(json.dumps(description, indent=2) + "\n")


def load_sasrec(folder: Path) -> Sasrec:
    """The SASRec that `Behaviour.write` left in ``folder``, published or not, in evaluation mode."""
    description = json.loads((folder / SASREC_SETTINGS).read_text())
    model = Sasrec(description["n_items"], SasrecSettings(**description["settings"]))
    model.load_state_dict(load_file(folder / SASREC))
    return model.eval()
