from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semconv.errors import ArtifactError, InputError
from semconv.llm.trie import Trie


def walked(trie: Trie) -> dict[tuple[int, ...], list[int]]:
    """Tuples and their items, found from the root along the offsets."""
    frontier: dict[tuple[int, ...], int] = {(): 0}
    for level in range(trie.levels):
        offsets, codes = trie.offsets[level].tolist(), trie.codes[level].tolist()
        frontier = {
            (*prefix, codes[child]): child
            for prefix, node in frontier.items()
            for child in range(offsets[node], offsets[node + 1])
        }
    offsets = trie.offsets[-1].tolist()
    return {prefix: trie.items[offsets[leaf] : offsets[leaf + 1]].tolist() for prefix, leaf in frontier.items()}


@given(
    st.integers(1, 5).flatmap(
        lambda levels: st.lists(st.lists(st.integers(0, 3), min_size=levels, max_size=levels), min_size=1, max_size=30)
    ),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_walking_the_trie_finds_every_item_under_its_own_tuple(rows: list[list[int]], data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    held = data.draw(st.lists(st.sampled_from(range(len(rows))), min_size=1, unique=True))
    trie = Trie.build(np.array(rows, np.int32), 4, training_counts=np.array(counts), items=held)
    by_rule = sorted(held, key=lambda item: (rows[item], -counts[item], item))
    expected = {key: list(group) for key, group in itertools.groupby(by_rule, key=lambda item: tuple(rows[item]))}
    found = walked(trie)
    assert found == expected
    assert list(found) == sorted(found)
    for level in range(trie.levels):
        prefixes = sorted({tuple(rows[item][: level + 1]) for item in held})
        under = [sum(tuple(rows[item][: level + 1]) == prefix for item in held) for prefix in prefixes]
        assert trie.nodes(level) == len(prefixes)
        assert trie.counts[level].tolist() == under
        for item in held:
            assert prefixes[int(trie.paths[level][trie.places[item]])] == tuple(rows[item][: level + 1])
    assert [int(place) >= 0 for place in trie.places] == [item in held for item in range(len(rows))]


def test_it_moves_between_devices_whole() -> None:
    trie = Trie.build(torch.tensor([[0, 1], [1, 1], [0, 1]]), 2)
    assert trie.to("cpu") is trie
    moved = trie.to("meta")
    assert moved.device.type == "meta"
    assert {tensor.device.type for tensor in (*moved.codes, *moved.offsets, *moved.counts, *moved.paths)} == {"meta"}


@pytest.mark.parametrize(
    ("codes", "arguments", "error", "words"),
    [
        ([[0, 4]], {}, ArtifactError, "outside 0 to 3"),
        ([[-1, 0]], {}, ArtifactError, "outside 0 to 3"),
        ([0, 1], {}, ArtifactError, "shape"),
        ([[0, 1]], {"items": []}, InputError, "no item"),
        ([[0, 1]], {"items": [1]}, InputError, "outside the catalogue of 1"),
    ],
)
def test_bad_codes_are_refused(codes: list[object], arguments: dict[str, object], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        Trie.build(np.array(codes, np.int32), 4, **arguments)


@pytest.mark.data
@pytest.mark.parametrize(
    ("index", "tuples"), [("letter_native", 12015), ("rqvae_native", 11499), ("rkmeans_native", 10527)]
)
def test_every_item_of_a_published_index_is_reachable(index: str, tuples: int, published_codes: object) -> None:
    codes = published_codes(index)
    found = walked(Trie.build(codes, 256))
    assert len(found) == tuples
    assert sorted(itertools.chain(*found.values())) == list(range(12101))
    for prefix, items in found.items():
        assert all(tuple(codes[item]) == prefix for item in items)
