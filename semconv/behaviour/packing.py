"""Packed batches of histories.

Legend: P packed tokens over all sequences, R rows, W width of a row in tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from semconv.artifacts.ragged import Int64, Ragged
from semconv.packing import first_fit, own_past


@dataclass(frozen=True)
class Packed:
    """Sequences laid end to end in rows of equal width.

    ``slots_P`` int64: flat place (row * W + column) of every token, sequence by sequence in the order given;
    ``positions_RW`` int64: place of a token within its own sequence, 0 in padding; ``mask_RWW`` bool: who may attend
    to whom, which is earlier tokens of the same sequence and oneself.
    """

    slots_P: torch.Tensor
    positions_RW: torch.Tensor
    mask_RWW: torch.Tensor

    def to(self, device: torch.device) -> Packed:
        """The same on ``device``."""
        return Packed(self.slots_P.to(device), self.positions_RW.to(device), self.mask_RWW.to(device))


def pack(lengths: Int64, width: int) -> Packed:
    """Place sequences of these lengths (1 to ``width`` each) by first fit, longest first."""
    rows, columns, n_rows = first_fit(lengths, width)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    within_P = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
    slots_P = np.repeat(rows * width + columns, lengths) + within_P
    segments = np.full(n_rows * width, -1, np.int64)
    segments[slots_P] = np.repeat(np.arange(len(lengths)), lengths)
    positions = np.zeros(n_rows * width, np.int64)
    positions[slots_P] = within_P
    segments_RW = torch.from_numpy(segments).view(n_rows, width)
    return Packed(torch.from_numpy(slots_P), torch.from_numpy(positions).view(n_rows, width), own_past(segments_RW))


def windows(sequences: Ragged, width: int) -> Ragged:
    """Every non-empty sequence cut into consecutive windows of at most ``width`` items."""
    rows = [row[start : start + width] for row in sequences for start in range(0, len(row), width)]
    return Ragged.of(rows)
