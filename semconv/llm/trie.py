"""The catalogue's code tuples as a trie of flat tensors, built in one pass and walked without Python loops.

Level l holds the distinct prefixes of l + 1 codes in lexicographic order; below the last level lie the items
themselves, as if they were one level more. Children of a node are therefore always one contiguous range:

    children of node j of level l - 1 = nodes offsets[l][j] .. offsets[l][j + 1] - 1 of level l

with the root as the only node above level 0 and ``offsets[L]`` leading from the leaves to the items.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from semconv.artifacts.ragged import Int32
from semconv.errors import ArtifactError, InputError


@dataclass(frozen=True)
class Children:
    """The T children of the live beams of B users, flat, user by user and beam by beam.

    ``beam_T`` is b * K + k, ``node_T`` the node at the children's level; those of beam (b, k) with node
    ``parents_BK`` begin at ``starts_BK`` and are ``counts_BK`` (0 where the beam is not ``live_BK``).
    """

    beam_T: torch.Tensor
    node_T: torch.Tensor
    parents_BK: torch.Tensor
    live_BK: torch.Tensor
    starts_BK: torch.Tensor
    counts_BK: torch.Tensor


@dataclass(frozen=True)
class Trie:
    """The trie of n items of a catalogue of N, over L ``levels`` of ``codes_per_level`` (C) codes.

    codes     L tensors int64 (n_l): the code that leads to each node of level l
    offsets   L + 1 tensors int64 (n_{l-1} + 1), n_{-1} = 1: where each node's children begin, see the module's text
    counts    L tensors int32 (n_l): items under each node
    paths     L tensors int32 (n): each item's node at level l, by the item's place
    items     int64 (n): item index by place; places run in the order of code tuples, items that share a tuple by
              training count (highest first), then by item index
    places    int64 (N): place by item index, -1 where the item was left out
    catalogue `catalogue_mark` of all N items' codes
    """

    codes_per_level: int
    codes: tuple[torch.Tensor, ...]
    offsets: tuple[torch.Tensor, ...]
    counts: tuple[torch.Tensor, ...]
    paths: tuple[torch.Tensor, ...]
    items: torch.Tensor
    places: torch.Tensor
    catalogue: int

    @classmethod
    def build(
        cls,
        codes: Int32 | torch.Tensor,
        codes_per_level: int,
        *,
        training_counts: npt.NDArray[np.integer] | torch.Tensor | None = None,
        items: Sequence[int] | npt.NDArray[np.integer] | torch.Tensor | None = None,
    ) -> Trie:
        """Build the trie of ``codes``, integers (N, L), on the device they lie on.

        ``training_counts`` (N) ranks items that share a tuple, `items` names the item indices to hold (default: all).
        Raises `ArtifactError` for codes outside [0, C) and `InputError` when there is no item to hold.
        """
        codes_NL = torch.as_tensor(codes).long()
        if codes_NL.ndim != 2 or codes_NL.shape[1] == 0:
            raise ArtifactError(f"Codes have shape {tuple(codes_NL.shape)}, not (items, levels)", "Redo tokenize")
        if codes_NL.numel() and (int(codes_NL.min()) < 0 or int(codes_NL.max()) >= codes_per_level):
            raise ArtifactError(f"Codes lie outside 0 to {codes_per_level - 1}", "Redo tokenize")
        n_items, levels = codes_NL.shape
        device = codes_NL.device
        order = torch.arange(n_items, device=device) if items is None else _chosen(items, n_items, device)
        if not len(order):
            raise InputError("There is no item to recommend: the set of items is empty", "Name at least one item")
        if training_counts is not None:
            popularity = torch.as_tensor(training_counts).to(device)
            order = order[popularity[order].argsort(descending=True, stable=True)]
        for level in reversed(range(levels)):
            order = order[codes_NL[order, level].argsort(stable=True)]
        sorted_nL, mark = codes_NL[order], catalogue_mark(codes)

        node_codes, offsets, counts, paths = [], [], [], []
        starts = torch.zeros(1, dtype=torch.long, device=device)
        opens = torch.zeros(len(order), dtype=torch.bool, device=device)
        opens[0] = True
        end = torch.tensor([len(order)], device=device)
        for level in range(levels):
            opens[1:] |= sorted_nL[1:, level] != sorted_nL[:-1, level]
            path = opens.cumsum(0) - 1
            above, starts = starts, opens.nonzero().squeeze(1)
            node_codes.append(sorted_nL[starts, level])
            offsets.append(torch.cat([path[above], torch.tensor([len(starts)], device=device)]))
            counts.append(torch.cat([starts, end]).diff().int())
            paths.append(path.int())
        offsets.append(torch.cat([starts, end]))
        places = torch.full((n_items,), -1, dtype=torch.long, device=device)
        places[order] = torch.arange(len(order), device=device)
        return cls(codes_per_level, tuple(node_codes), tuple(offsets), tuple(counts), tuple(paths), order, places, mark)

    @property
    def levels(self) -> int:
        """Codes per item, L."""
        return len(self.codes)

    @property
    def n_items(self) -> int:
        """Items of the catalogue, N, those left out among them."""
        return len(self.places)

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.items.device

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        parts = (*self.codes, *self.offsets, *self.counts, *self.paths, self.items, self.places)
        return sum(part.nbytes for part in parts)

    def nodes(self, level: int) -> int:
        """Nodes of a level; at level L, items held."""
        return len(self.codes[level]) if level < self.levels else len(self.items)

    def children(self, level: int, parents_BK: torch.Tensor, live_BK: torch.Tensor) -> Children:
        """The children, at ``level``, of the live nodes among ``parents_BK`` of the level above (the root is 0).

        Costs what the children are, at most K * C a user, however large the catalogue.
        """
        first_BK = self.offsets[level][parents_BK]
        counts_BK = (self.offsets[level][parents_BK + 1] - first_BK) * live_BK
        counts = counts_BK.flatten()
        ends = counts.cumsum(0)
        starts = ends - counts
        total = int(ends[-1])
        beam_T = torch.repeat_interleave(counts, output_size=total)
        node_T = (first_BK.flatten() - starts)[beam_T].add_(torch.arange(total, device=self.device))
        return Children(beam_T, node_T, parents_BK, live_BK, starts.view_as(counts_BK), counts_BK)

    def to(self, device: torch.device | str) -> Trie:
        """The same trie on another device."""
        if self.device == torch.device(device):
            return self

        def moved(tensors: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            return tuple(tensor.to(device) for tensor in tensors)

        return Trie(
            self.codes_per_level,
            moved(self.codes),
            moved(self.offsets),
            moved(self.counts),
            moved(self.paths),
            self.items.to(device),
            self.places.to(device),
            self.catalogue,
        )


def catalogue_mark(codes_NL: Int32 | torch.Tensor) -> int:
    """A number that two catalogues of codes (N, L) of different items' codes hardly ever share (CRC-32)."""
    codes = torch.as_tensor(codes_NL).int().contiguous().cpu().numpy()
    return zlib.crc32(codes.tobytes(), len(codes))


def _chosen(
    items: Sequence[int] | npt.NDArray[np.integer] | torch.Tensor, n_items: int, device: torch.device
) -> torch.Tensor:
    """Distinct item indices in ascending order; raises `InputError` for one outside the catalogue."""
    chosen: torch.Tensor = torch.unique(torch.as_tensor(items, device=device).long())
    if len(chosen) and (int(chosen[0]) < 0 or int(chosen[-1]) >= n_items):
        raise InputError(f"The set of items names some outside the catalogue of {n_items}", "Name item indices")
    return chosen
