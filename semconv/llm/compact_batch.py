"""What the compact model reads: words, a start, items; packed into rows.

R rows, T positions, P positions that hold something, B examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from semconv.artifacts.ragged import Int32, Int64
from semconv.llm.packing import PackedBatch, pack

NOTHING = -1
START = -2
ROW = 64
"""Positions a row holds, unless one example alone needs more."""


@dataclass(frozen=True)
class CompactExample:
    """Word token ids (W,), items (n,), and the item to predict at the start and after each item (n + 1,).

    A target of `NOTHING` asks for nothing there; without targets the example is only read.
    """

    words: Int32
    history: Int32
    targets: Int32 | None

    def __len__(self) -> int:
        return len(self.words) + 1 + len(self.history)

    @property
    def target_count(self) -> int:
        """Items to predict."""
        return 0 if self.targets is None else int((self.targets >= 0).sum())


@dataclass(frozen=True)
class CompactBatch(PackedBatch):
    """Packed examples, all int64; ``scale`` multiplies the summed loss.

    ``words_RT`` token id or `NOTHING`; ``items_RT`` item, `START` or `NOTHING`; ``targets_RT`` item or `NOTHING`;
    ``segments_RT`` which example of its row a position belongs to, 0 for none; ``positions_RT`` its place there;
    ``ends_2B`` row and position of every example's last position; ``item_places_P`` and ``target_places_P``, counted
    along all rows, where there is an item or start, and a target, so that no device need be asked for them.
    """

    words_RT: torch.Tensor
    items_RT: torch.Tensor
    targets_RT: torch.Tensor
    segments_RT: torch.Tensor
    positions_RT: torch.Tensor
    ends_2B: torch.Tensor
    item_places_P: torch.Tensor
    target_places_P: torch.Tensor
    scale: float = 1.0


def pack_examples(examples: Sequence[CompactExample], scale: float = 1.0, row: int = ROW) -> CompactBatch:
    """Pack examples into rows; see `CompactBatch`."""
    rows, starts, n_rows, n_positions = pack([len(example) for example in examples], row)
    return _filled(examples, rows, starts, (n_rows, n_positions), scale)


def in_one_row(examples: Sequence[CompactExample]) -> CompactBatch:
    """Examples one after the other, in order, R = 1."""
    ends = np.asarray([len(example) for example in examples], np.int64).cumsum()
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    return _filled(examples, np.zeros_like(starts), starts, (1, int(ends[-1])), 1.0)


def _filled(
    examples: Sequence[CompactExample], rows: Int64, starts: Int64, shape: tuple[int, int], scale: float
) -> CompactBatch:
    """The batch with every example at its row and first position."""
    words, items, targets = (np.full(shape, NOTHING, np.int64) for _ in range(3))
    segments, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for number, (example, r, begin) in enumerate(zip(examples, rows, starts, strict=True), start=1):
        first, stop = begin + len(example.words), begin + len(example)
        words[r, begin:first] = example.words
        items[r, first] = START
        items[r, first + 1 : stop] = example.history
        if example.targets is not None:
            targets[r, first:stop] = example.targets
        segments[r, begin:stop] = number
        positions[r, begin:stop] = np.arange(len(example))
    ends = np.stack([rows, starts + [len(example) - 1 for example in examples]])
    return CompactBatch(
        torch.from_numpy(words),
        torch.from_numpy(items),
        torch.from_numpy(targets),
        torch.from_numpy(segments),
        torch.from_numpy(positions),
        torch.from_numpy(ends),
        torch.from_numpy(np.flatnonzero(items != NOTHING)),
        torch.from_numpy(np.flatnonzero(targets != NOTHING)),
        scale,
    )
