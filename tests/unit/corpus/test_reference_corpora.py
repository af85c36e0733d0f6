"""Ingest of the real data sets, whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.data


@pytest.mark.parametrize(
    ("name", "users", "items", "interactions"),
    [("beauty", 22_363, 12_101, 198_502), ("sports", 35_598, 18_357, 296_337)],
)
def test_a_published_5_core_passes_through_whole(
    reference_data: Path, ingest: Callable, name: str, users: int, items: int, interactions: int
) -> None:
    corpus = ingest(reference_data / name, k_core=5)
    assert (corpus.n_users, corpus.n_items, len(corpus.sequences.values)) == (users, items, interactions)
    assert corpus.user_ids[:2] == ["u1", "u2"]
    assert len(corpus.split("test").users) == users
    assert corpus.manifest.counts["rows"]["interactions"]["kept"] == interactions


def test_the_whole_of_online_retail_is_accounted_for(reference_data: Path, ingest: Callable) -> None:
    corpus = ingest(reference_data / "online_retail", reader="online_retail", k_core=5)
    rows = corpus.manifest.counts["rows"]["interactions"]
    assert rows["rows"] == 541_909
    assert rows["quarantined"]["missing user id"] == 135_080
    # Of 9,288 cancellations 383 have no customer either, and are counted there.
    assert rows["quarantined"]["cancellation"] == 9_288 - 383
    assert rows["kept"] + sum(rows["quarantined"].values()) + sum(rows["filtered"].values()) == 541_909
    assert corpus.items["title"].null_count == 0
    assert not any(user.endswith(".0") for user in corpus.user_ids)
    assert corpus.sequences.lengths.min() >= 5
    bought = np.bincount(corpus.sequences.values)
    assert bought[bought > 0].min() >= 5
    times = pq.read_table(corpus.path / "sequences", columns=["times"])["times"].combine_chunks()
    assert pc.min(times.values).as_py() == 1_291_191_960 * 10**9
    owners = np.repeat(np.arange(corpus.n_users), corpus.sequences.lengths)
    rising = np.diff(times.values.to_numpy()) >= 0
    assert rising[owners[1:] == owners[:-1]].all()
