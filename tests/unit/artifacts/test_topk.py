"""TopKSnapshot: every user's own list and nobody else's, from mapped files, whatever the ids look like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semconv.artifacts import TopKSnapshot, TopKWriter, finish, staging
from semconv.artifacts import topk as module
from semconv.artifacts.topk import NONE, users_batch, write_catalogue
from semconv.errors import ArtifactError

K = 3
CATALOGUE = ["zebra", "Äpfel", "apple", "", "日本"]
TITLES = ["Zebra", "Äpfel & Birnen", None, "Nameless", "日本の本"]


def answer(number: int) -> tuple[list[int], list[float]]:
    """A list that belongs to one user only: its length and scores depend on the user's number."""
    length = number % (K + 1)
    return [(number + place) % len(CATALOGUE) for place in range(length)], [number - place for place in range(length)]


def batch(users: Sequence[str], first: int) -> pa.RecordBatch:
    items, scores = np.full((len(users), K), NONE, np.int32), np.full((len(users), K), -np.inf, np.float32)
    for row in range(len(users)):
        found = answer(first + row)
        items[row, : len(found[0])], scores[row, : len(found[1])] = found
    return users_batch(pa.array(users, pa.string()), items, scores)


def write(
    target: Path, users: Sequence[str], *, shards: int = 4, step: int = 7, expected: Sequence[str] | None = None
) -> TopKSnapshot:
    with staging(target) as folder:
        write_catalogue(folder, item_ids=CATALOGUE, titles=TITLES, popularity=np.array([1, 5, 0, 5, 2]))
        writer = TopKWriter(folder, shards=shards, k=K)
        for start in range(0, len(users), step):
            writer.add(batch(users[start : start + step], start))
        writer.finish(pa.array(users if expected is None else expected, pa.string()))
        asked = {"precache": {"k": K, "shards": shards}}
        finish(folder, "topk", settings=asked, inputs={}, counts={}, request="asked", seconds=0)
    return TopKSnapshot.open(target)


def check(snapshot: TopKSnapshot, users: Sequence[str]) -> None:
    assert snapshot.n_users == len(users)
    for number, user in enumerate(users):
        found = snapshot.lookup(user)
        assert found is not None
        assert (found[0].tolist(), found[1].tolist()) == answer(number)


def test_every_user_finds_their_own_list_across_shards_and_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS", 16)
    users = [f"user {number * 7919 % 1000}" for number in range(1000)]
    snapshot = write(tmp_path / "topk", users)
    assert len(list(snapshot.users())) > 4 * 10
    check(snapshot, users)
    snapshot.verify()


@settings(max_examples=15, deadline=None)
@given(
    users=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), unique=True, max_size=40),
    stranger=st.text(max_size=12),
    shards=st.integers(1, 5),
)
def test_any_ids_find_their_own_list_and_a_stranger_nothing(
    tmp_path_factory: pytest.TempPathFactory, users: list[str], stranger: str, shards: int
) -> None:
    snapshot = write(tmp_path_factory.mktemp("any") / "topk", users, shards=shards)
    check(snapshot, users)
    assert (snapshot.lookup(stranger) is None) == (stranger not in users)


def test_items_are_found_by_id_and_shown_with_their_titles(tmp_path: Path) -> None:
    snapshot = write(tmp_path / "topk", ["one"])
    assert [snapshot.item_index(item_id) for item_id in CATALOGUE] == list(range(len(CATALOGUE)))
    assert [snapshot.item(index) for index in range(len(CATALOGUE))] == list(zip(CATALOGUE, TITLES, strict=True))
    assert snapshot.item_index("zebr") is None
    assert snapshot.item_index("\ud800") is None
    assert [column.tolist() for column in snapshot.popular] == [[1, 3, 4, 0, 2], [5, 5, 2, 1, 0]]


def test_blocked_items_are_in_the_catalogue_and_never_popular(tmp_path: Path) -> None:
    with staging(tmp_path / "topk") as folder:
        write_catalogue(
            folder,
            item_ids=CATALOGUE,
            titles=TITLES,
            popularity=np.array([1, 5, 0, 5, 2]),
            blocked=np.array([1, 2], np.int32),
        )
        TopKWriter(folder, shards=1, k=K).finish(pa.array([], pa.string()))
        finish(folder, "topk", settings={"precache": {"k": K}}, inputs={}, counts={}, request="asked", seconds=0)
    snapshot = TopKSnapshot.open(tmp_path / "topk")
    assert [column.tolist() for column in snapshot.popular] == [[3, 4, 0], [5, 2, 1]]
    assert snapshot.item_index(CATALOGUE[1]) == 1


@pytest.mark.parametrize(
    ("written", "expected", "named"),
    [
        (["a", "b"], ["a", "b", "c"], "c is missing"),
        (["a", "b", "c"], ["a", "b"], "c is there, but not in the corpus"),
        (["a", "b", "b"], ["a", "b"], "b is there twice"),
        (["a", "b", "b"], ["a", "b", "b"], "b is there twice"),
    ],
)
def test_a_snapshot_without_every_user_exactly_once_is_not_written(
    tmp_path: Path, written: list[str], expected: list[str], named: str
) -> None:
    with pytest.raises(ArtifactError, match=named):
        write(tmp_path / "topk", written, shards=1, expected=expected)
    assert not (tmp_path / "topk").exists()


def test_a_truncated_file_is_refused_by_name(tmp_path: Path) -> None:
    shard = write(tmp_path / "topk", ["a", "b"], shards=1).path / "shards" / "00000.arrow"
    shard.write_bytes(shard.read_bytes()[:-8])
    with pytest.raises(ArtifactError, match=r"00000\.arrow is missing or has another size"):
        TopKSnapshot.open(tmp_path / "topk")


@pytest.mark.parametrize("name", ["shards/00000.arrow", "items.arrow", "popular.arrow"])
def test_a_file_overwritten_with_noise_of_the_same_size_is_refused_by_name(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / "topk", ["a", "b"], shards=1).path / name
    file.write_bytes(b"\xff" * file.stat().st_size)
    with pytest.raises(ArtifactError, match=f"{name} cannot be read"):
        TopKSnapshot.open(tmp_path / "topk")


def test_one_changed_byte_is_found_by_verify(tmp_path: Path) -> None:
    snapshot = write(tmp_path / "topk", ["a", "b"], shards=1)
    shard = snapshot.path / "shards" / "00000.arrow"
    content = bytearray(shard.read_bytes())
    place = content.index(np.array(answer(1)[1], np.float32).tobytes())
    content[place] ^= 1
    shard.write_bytes(content)
    with pytest.raises(ArtifactError, match="is not what was published"):
        snapshot.verify()


def test_a_shard_of_another_width_is_refused(tmp_path: Path) -> None:
    snapshot = write(tmp_path / "topk", ["a"], shards=1)
    manifest = snapshot.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"k": 3', '"k": 4'))
    with pytest.raises(ArtifactError, match="other columns"):
        TopKSnapshot.open(snapshot.path)
