"""Packing loses no token and lets no sequence see another."""

from __future__ import annotations

import numpy as np

from semconv.artifacts import Ragged
from semconv.behaviour.packing import pack, windows


def test_every_token_has_a_place_of_its_own_and_sees_its_own_past() -> None:
    lengths = np.random.default_rng(0).integers(1, 9, 50)
    packed = pack(lengths, 8)
    slots = packed.slots_P.numpy()
    assert len(set(slots.tolist())) == lengths.sum()
    rows, columns = slots // 8, slots % 8
    assert packed.mask_RWW.shape == (rows.max() + 1, 8, 8)
    sequence = np.repeat(np.arange(50), lengths)
    within = np.concatenate([np.arange(n) for n in lengths])
    assert packed.positions_RW[rows, columns].tolist() == within.tolist()
    for token in range(len(slots)):
        seen = np.flatnonzero(packed.mask_RWW[rows[token], columns[token]].numpy())
        expected = slots[(sequence == sequence[token]) & (within <= within[token])] % 8
        assert seen.tolist() == sorted(expected.tolist())


def test_rows_are_well_filled() -> None:
    lengths = np.random.default_rng(0).integers(1, 20, 500)
    assert lengths.sum() / (len(pack(lengths, 50).mask_RWW) * 50) > 0.97


def test_windows_keep_every_item_once() -> None:
    cut = windows(Ragged.of([[1, 2, 3, 4, 5], [], [6, 7]]), 2)
    assert [row.tolist() for row in cut] == [[1, 2], [3, 4], [5], [6, 7]]
