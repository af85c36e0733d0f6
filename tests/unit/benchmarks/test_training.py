"""The training benchmark: both sides learn the same, and its figures come out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.training import Size, figures, model_flop
from benchmarks.training_rival import HISTORY, grouped_batches, target_rows
from benchmarks.training_users import Sequences, batches_of, interactions, training_sequences
from semconv.artifacts.ragged import Ragged
from semconv.llm.packed_causal import IGNORED
from semconv.precision import Precision

SHAPE = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "intermediate_size": 16,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "vocab_size": 1400,
}
LEVELS = 4


def test_synthetic_users_are_as_busy_as_beautys() -> None:
    counts = interactions(20_000, None)
    assert counts.min() == 5
    assert abs(counts.mean() - 8.9) < 0.4
    assert np.percentile(counts, [50, 90, 99]).tolist() == [6.0, 14.0, 43.0]


def test_both_sides_learn_the_same_targets() -> None:
    training = Ragged.of([np.arange(3), np.arange(5, 35), np.arange(60), np.arange(1)])
    sequences = Sequences(training, 1400)
    portion = batches_of(sequences, len(sequences.windows))(0, 0)
    rows = target_rows(sequences, list(training))
    batches = grouped_batches(rows, 300)
    assert portion.targets == LEVELS * len(rows) == sum(int((b.labels_RT != IGNORED).sum()) for b in batches)
    assert max(map(len, rows)) - min(map(len, rows)) == LEVELS * (HISTORY - 1)
    assert all(batch.ids_RT.numel() <= 300 for batch in batches)
    told = sorted(
        tuple(batch.ids_RT[r, : int(batch.real_RT[r].sum())].tolist())
        for batch in batches
        for r in range(len(batch.ids_RT))
    )
    assert told == sorted(tuple(row.ids.tolist()) for row in rows)


def test_written_sequences_are_those_in_memory(tmp_path: Path) -> None:
    sequences = Sequences(training_sequences(5, None), 1400)
    written = sequences.write(tmp_path / "examples")
    one, two = (batches_of(pools, 5)(0, 0).parts[0] for pools in (sequences, written))
    assert torch.equal(one.ids_RT, two.ids_RT)
    assert torch.equal(one.labels_RT, two.labels_RT)


def test_flop_are_counted_by_hand() -> None:
    batch = batches_of(sequences := Sequences(Ragged.of([np.arange(3)]), 1400), 1)(0, 0).parts[0]
    tokens = len(sequences.row("sequential", 0).words)
    matrices = 16 * (16 + 8 + 8) + 16 * 16 + 3 * 16 * 16
    pairs = tokens * (tokens + 1) / 2
    assert model_flop(SHAPE, batch) == 6 * (matrices * tokens + 16 * 1400 * 8) + 12 * 16 * pairs


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_the_figures_come_out(precision: Precision) -> None:
    found = figures(Size(SHAPE, users=3, rounds=1, steps=3, stalled=SHAPE, square=32), None, 1, precision)
    assert (found["histories"], found["precision"]) == ("synthetic", precision)
    assert found["tokens_per_target"]["ours"] < found["tokens_per_target"]["row_per_target"]
    assert 0 <= found["input_stall"] <= 1
    positive = "targets_per_s_over_row_per_target", "targets_per_s", "fwd_bwd_over_stock", "matmul_share"
    assert all(found[name] > 0 for name in positive)
