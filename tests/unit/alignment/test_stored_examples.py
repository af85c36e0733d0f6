"""The examples artifact: rows come back as they were written, wherever a shard ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from semconv.artifacts import AlignmentExamples, examples, finish
from semconv.artifacts.examples import ExampleRow, shard_path, shards_of, write_description, write_shard
from semconv.errors import ArtifactError

SIZES = {"sequential": 23, "textual": 10}


def row_of(family: str, number: int) -> ExampleRow:
    random = np.random.default_rng((len(family), number))
    words, items = (random.integers(0, 99, many).astype(np.int32) for many in random.integers(0, 6, 2))
    return ExampleRow(words, items, number % 4)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "SHARD", 5)
    monkeypatch.setattr(examples, "OPEN_SHARDS", 2)


@pytest.fixture
def stored(tmp_path: Path) -> AlignmentExamples:
    for family, shard in reversed(shards_of(SIZES)):
        numbers = range(5 * shard, min(5 * shard + 5, SIZES[family]))
        assert write_shard(tmp_path, family, shard, (row_of(family, number) for number in numbers)) == len(numbers)
    write_description(tmp_path, SIZES, spelling="tokens", weights={"textual": 0.1})
    finish(tmp_path, "examples", settings={}, inputs={}, counts={}, request="r", seconds=0)
    return AlignmentExamples.open(tmp_path)


def test_rows_come_back_in_any_order(stored: AlignmentExamples) -> None:
    assert stored.sizes == SIZES
    places = [(family, number) for family, size in SIZES.items() for number in range(size)]
    for place in np.random.default_rng(0).permutation(len(places)):
        found, wanted = stored.row(*places[place]), row_of(*places[place])
        assert (found.words.tolist(), found.items.tolist(), found.answer) == (
            wanted.words.tolist(),
            wanted.items.tolist(),
            wanted.answer,
        )
        assert found.words.dtype == found.items.dtype == np.int32


@pytest.mark.parametrize(("family", "number"), [("sequential", 23), ("sequential", -1), ("query", 0)])
def test_there_is_no_row_beside_them(stored: AlignmentExamples, family: str, number: int) -> None:
    with pytest.raises(IndexError):
        stored.row(family, number)


def test_other_settings_are_refused_by_name(stored: AlignmentExamples) -> None:
    stored.require(spelling="tokens", weights={"textual": 0.1})
    with pytest.raises(ArtifactError, match="made with spelling tokens and compact is asked for"):
        stored.require(spelling="compact")


def test_a_missing_or_damaged_shard_is_named(stored: AlignmentExamples, tmp_path: Path) -> None:
    path = shard_path(tmp_path, "textual", 1)
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(ArtifactError, match=r"textual/00001\.arrow cannot be read"):
        AlignmentExamples.open(tmp_path).row("textual", 7)
    path.unlink()
    with pytest.raises(ArtifactError, match=r"textual/00001\.arrow is missing"):
        AlignmentExamples.open(tmp_path)
    with pytest.raises(ArtifactError, match="1 shards of examples were not written"):
        write_description(tmp_path, SIZES)
