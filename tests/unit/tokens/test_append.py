"""A catalogue that lives: known items keep their codes, new ones get free ones, versions know what they continue."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
import torch

from semconv.artifacts import ItemTokens, ItemVectors, Run, finish, staging
from semconv.config import RqVaeSettings, Settings, TokenizeSettings, determining
from semconv.errors import ArtifactError, SemconvError, SettingError
from semconv.llm.trie import Trie
from semconv.tokens import fusion
from semconv.tokens.append import Parent, append_items, parent_run, text_encoder
from semconv.tokens.collisions import Resolver
from semconv.tokens.guess import guess
from semconv.tokens.text_encoder import PACKAGED
from semconv.tokens.tokenizer import ItemTokenizer, tokenize_items

RQVAE = RqVaeSettings(width=4, hidden=(8,), steps=10, batch_size=16)
CHOSEN = TokenizeSettings(
    levels=2, codes=6, text_components=4, behaviour_components=4, iterations=5, align_weight=0.0, rqvae=RQVAE
)
WIDTH = 8


def text_of(item: int, width: int = WIDTH) -> torch.Tensor:
    """An item's text vector; every fifth reads like the one before it."""
    return torch.randn(width, generator=torch.Generator().manual_seed(item - (item % 5 == 4)))


def write_vectors(
    run: Run, items: list[int], *, model: str = "encoder", width: int = WIDTH, untold: Collection[int] = ()
) -> ItemVectors:
    """Behaviour in a width of the run's own, as in every run's own space; items ``untold`` have no text."""
    folder = run.artifact("vectors")
    folder.mkdir(parents=True, exist_ok=True)
    ItemVectors.write(
        folder,
        text=torch.stack([text_of(item, width) * (item not in untold) for item in items]),
        behaviour=torch.randn(len(items), 5 + len(items) % 3, generator=torch.Generator().manual_seed(7)),
        has_text=torch.tensor([item not in untold for item in items]),
        has_behaviour=torch.tensor([item % 3 > 0 for item in items]),
    )
    settings = {"embed": {"text_model": model}}
    finish(folder, "vectors", settings=settings, inputs={}, counts={}, request="", seconds=0)
    return ItemVectors.open(folder)


def ids(items: list[int]) -> list[str]:
    return [f"i{item}" for item in items]


def make(root: Path, name: str, items: list[int], chosen: TokenizeSettings, parent: str | None = None) -> ItemTokens:
    """A run's vectors and tokens, fitted or continued, on disk."""
    run = Run(str(root), name)
    vectors = write_vectors(run, items)
    with staging(run.artifact("tokens")) as folder:
        if parent is None:
            tokenize_items(vectors, chosen, seed=1).write(folder, ids(items))
        else:
            appended = append_items(Parent.open(Run(str(root), parent)), ids(items), vectors, chosen)
            appended.write(folder, ids(items))
        settings = {"tokenize": determining(chosen)}
        finish(folder, "tokens", settings=settings, inputs={"vectors": vectors}, counts={}, request="", seconds=0)
    return ItemTokens.open(run.artifact("tokens"))


def codes_by_id(tokens: ItemTokens) -> dict[str, tuple[int, ...]]:
    return dict(zip(tokens.item_ids, map(tuple, tokens.codes.tolist()), strict=True))


def fused_from_text(tokenizer: ItemTokenizer, items: list[int]) -> torch.Tensor:
    """Text, and the behaviour that text lets expect."""
    fusion = tokenizer.fusion
    text_NP = fusion.projections["text"](torch.stack([text_of(item) for item in items]))
    guess_NQ = guess(text_NP, fusion.references["text"], fusion.references["behaviour"])
    return torch.cat([text_NP, guess_NQ * fusion.weights["behaviour"]], dim=1)


def with_(how: Resolver) -> TokenizeSettings:
    return CHOSEN.model_copy(update={"collisions": how})


def reachable(tokens: ItemTokens) -> dict[tuple[int, ...], list[int]]:
    """Items by the codes that lead to them, walked from the trie's root."""
    trie = Trie.build(tokens.codes, tokens.codes_per_level)
    nodes: list[tuple[int, tuple[int, ...]]] = [(0, ())]
    for level in range(tokens.levels):
        offsets, codes = trie.offsets[level].tolist(), trie.codes[level].tolist()
        nodes = [
            (child, (*path, codes[child])) for node, path in nodes for child in range(offsets[node], offsets[node + 1])
        ]
    offsets, items = trie.offsets[tokens.levels].tolist(), trie.items.tolist()
    return {path: items[offsets[node] : offsets[node + 1]] for node, path in nodes}


@pytest.mark.parametrize("how", ["reassign", "extra", "none"])
def test_every_item_is_reachable_by_its_codes_whatever_the_resolver(tmp_path: Path, how: Resolver) -> None:
    tokens = make(tmp_path, "april", list(range(30)), with_(how))
    assert tokens.codes.shape == (30, tokens.levels) == (30, 3 if how == "extra" else 2)
    assert tokens.quantizer["codebooks"].shape[:2] == (2, 6)
    found = reachable(tokens)
    assert {item: path for path, items in found.items() for item in items} == dict(
        enumerate(map(tuple, tokens.codes.tolist()))
    )
    shared = sum(len(items) for items in found.values() if len(items) > 1)
    assert shared / 30 == json.loads((tokens.path / "quality.json").read_text())["collision_rate"]
    assert (shared > 0) == (how == "none")


@pytest.mark.parametrize(
    ("how", "quantizer"),
    [(how, "residual_kmeans") for how in ("reassign", "extra", "none")] + [("reassign", "rqvae")],
)
def test_known_items_keep_their_codes_and_new_ones_get_free_ones(tmp_path: Path, how: Resolver, quantizer: str) -> None:
    chosen = with_(how).model_copy(update={"quantizer": quantizer})
    april = make(tmp_path, "april", list(range(20)), chosen)
    items = [25, *range(19, 4, -1), *range(20, 25)]
    may = make(tmp_path, "may", items, chosen, "april")
    before, after = codes_by_id(april), codes_by_id(may)
    assert [after[item_id] for item_id in ids(items[1:16])] == [before[item_id] for item_id in ids(items[1:16])]
    assert may.item_ids == ids(items)
    assert dict(zip(may.reserved[0], map(tuple, may.reserved[1].tolist()), strict=True)) == {
        item_id: before[item_id] for item_id in ids([0, 1, 2, 3, 4])
    }
    quality = json.loads((may.path / "quality.json").read_text())
    counted = {name: quality[name] for name in ("kept", "new", "returned", "removed", "reserved", "items")}
    assert counted == {"kept": 15, "new": 6, "returned": 0, "removed": 5, "reserved": 5, "items": 21}
    news = [after[item_id] for item_id in ids([20, 21, 22, 23, 24, 25])]
    if how != "none":
        assert len(set(news)) == 6
        assert not set(news) & set(before.values())
        assert quality["collision_rate"] == 0
    assert sorted(item for group in reachable(may).values() for item in group) == list(range(21))
    for name in ("quantizer.safetensors", "quantizer.json"):
        assert (may.path / name).read_bytes() == (april.path / name).read_bytes()
    vectors = ItemVectors.open(Run(str(tmp_path), "may").artifact("vectors"))
    again = append_items(Parent.open(Run(str(tmp_path), "april")), ids(items), vectors, chosen)
    assert again.codes_NL.tolist() == may.codes.tolist()


def test_a_new_item_that_has_room_takes_the_nearest_codes_of_its_text(tmp_path: Path) -> None:
    """Behaviour of the new run is not looked at: it has another width here."""
    chosen = CHOSEN.model_copy(update={"codes": 12})
    april = make(tmp_path, "april", list(range(20)), chosen)
    may = make(tmp_path, "may", [*range(20), 101], chosen, "april")
    tokenizer = ItemTokenizer.open(april)
    fused_1D = fused_from_text(tokenizer, [101])
    nearest_1L = tokenizer.quantizer.encode(fused_1D)
    first, last = codes_by_id(may)["i101"]
    assert first == int(nearest_1L[0, 0])
    costs_C = tokenizer.quantizer.level_costs(fused_1D, nearest_1L, nearest_1L.shape[1] - 1)[0].tolist()
    free = [code for code in range(12) if (first, code) not in codes_by_id(april).values()]
    assert costs_C[last] == pytest.approx(min(costs_C[code] for code in free), rel=1e-4)


def test_errors_are_those_of_the_new_items_alone(tmp_path: Path) -> None:
    items = [*range(20), 101, 102, 103]
    tokenizer = ItemTokenizer.open(make(tmp_path, "april", items[:20], CHOSEN))
    may = make(tmp_path, "may", items, CHOSEN, "april")
    quality = json.loads((may.path / "quality.json").read_text())
    fused_MD = fused_from_text(tokenizer, items[20:])
    spread = fused_MD.square().sum()  # the mean of what was fitted on lies at zero
    nearest_ML = tokenizer.quantizer.encode(fused_MD)
    for name, codes_ML in (("error", torch.from_numpy(may.codes[20:]).long()), ("error_before", nearest_ML)):
        missed = (fused_MD - tokenizer.quantizer.decode(codes_ML)).square().sum()
        assert quality[name] == pytest.approx(float(missed / spread), rel=1e-4)
    assert quality["error_by_level"][-1] == quality["error_before"]


def test_only_new_items_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million known ones would each search all references for a guess that nobody reads."""
    make(tmp_path, "april", list(range(20)), CHOSEN)
    asked: list[int] = []

    def counted(known_NP: torch.Tensor, *references: torch.Tensor) -> torch.Tensor:
        asked.append(len(known_NP))
        return guess(known_NP, *references)

    monkeypatch.setattr(fusion, "guess", counted)
    make(tmp_path, "may", [*range(20), 101, 102, 103], CHOSEN, "april")
    assert sum(asked) == 3


@pytest.mark.parametrize("gone", [0, 1])
def test_new_items_without_text_have_no_error_to_report(tmp_path: Path, gone: int) -> None:
    """They all lie at the mean of the catalogue that the tokenizer was fitted on."""
    april = Run(str(tmp_path), "april")
    make(tmp_path, "april", list(range(20)), CHOSEN)
    names = ("error", "error_before", "error_by_level")

    def quality(run: str, items: list[int], untold: Collection[int]) -> list[object]:
        vectors = write_vectors(Run(str(tmp_path), run), items, untold=untold)
        appended = append_items(Parent.open(april), ids(items), vectors, CHOSEN)
        assert appended.quality["unique_tuples"] == len(items)
        return [appended.quality[name] for name in names]

    news, told = list(range(101, 107)), [107, 108]
    assert quality("may", [*range(gone, 20), *news], news) == [None, None, None]
    only = quality("june", [*range(gone, 20), *told], ())
    mixed = quality("july", [*range(gone, 20), *news, *told], news)
    assert only[2] == pytest.approx(mixed[2])
    assert mixed[1] == mixed[2][-1] < 10


def test_versions_chain_and_an_item_that_comes_back_gets_its_old_codes(tmp_path: Path) -> None:
    april = make(tmp_path, "april", list(range(20)), CHOSEN)
    may = make(tmp_path, "may", list(range(5, 25)), CHOSEN, "april")
    june = make(tmp_path, "june", [0, 1, *range(7, 27)], CHOSEN, "may")
    assert june.ancestors == (april.fingerprint, may.fingerprint)
    assert may.ancestors == (april.fingerprint,)
    assert april.ancestors == ()
    assert [tokens.descends_from(may.fingerprint) for tokens in (april, may, june)] == [False, True, True]
    known = codes_by_id(april) | codes_by_id(may)
    now = codes_by_id(june)
    assert {item_id: now[item_id] for item_id in now if item_id in known} == {i: known[i] for i in now if i in known}
    assert set(june.reserved[0]) == set(ids([2, 3, 4, 5, 6]))
    used = [*known.values(), now["i25"], now["i26"]]
    assert len(set(used)) == len(used) == 27
    quality = json.loads((june.path / "quality.json").read_text())
    assert [quality[name] for name in ("kept", "new", "returned", "removed")] == [18, 2, 2, 2]


def test_what_is_reserved_for_long_is_not_given_to_a_look_alike(tmp_path: Path) -> None:
    """Items 4, 9 and 14 read exactly like 3, 8 and 13, which have been gone since the version before."""
    chosen = CHOSEN.model_copy(update={"behaviour_weight": 0.0, "codes": 12})
    early = [item for item in range(20) if item % 5 != 4]
    april = codes_by_id(make(tmp_path, "april", early, chosen))
    make(tmp_path, "may", [item for item in early if item not in (3, 8, 13)], chosen, "april")
    june = make(tmp_path, "june", [0, 1, 4, 9, 14], chosen, "may")
    assert {"i3", "i8", "i13"} <= set(june.reserved[0])
    now = codes_by_id(june)
    assert len({now["i4"], now["i9"], now["i14"]} | set(april.values())) == 3 + len(early)
    assert [now[look][0] for look in ids([4, 9, 14])] == [april[like][0] for like in ids([3, 8, 13])]


def test_an_earlier_version_still_opens_as_it_was(tmp_path: Path) -> None:
    before = make(tmp_path, "april", list(range(20)), CHOSEN)
    codes = before.codes.tolist()
    make(tmp_path, "may", list(range(10, 30)), CHOSEN, "april")
    rolled_back = ItemTokens.open(before.path)
    rolled_back.verify()
    assert rolled_back.fingerprint == before.fingerprint
    assert rolled_back.codes.tolist() == codes
    assert rolled_back.reserved[0] == []


def test_more_items_than_tuples_share_and_the_report_says_so(tmp_path: Path) -> None:
    """36 tuples: 30 known items, 5 of them reserved, and 10 new ones."""
    april = make(tmp_path, "april", list(range(30)), CHOSEN)
    may = make(tmp_path, "may", list(range(5, 40)), CHOSEN, "april")
    assert json.loads((may.path / "quality.json").read_text())["collision_rate"] > 0
    assert len({*codes_by_id(april).values(), *codes_by_id(may).values()}) == 36
    assert len(set(map(tuple, may.reserved[1].tolist()))) == 5


def test_nothing_new_is_a_version_too(tmp_path: Path) -> None:
    april = make(tmp_path, "april", list(range(20)), CHOSEN)
    may = make(tmp_path, "may", list(range(3, 20)), CHOSEN, "april")
    assert may.codes.tolist() == april.codes[3:].tolist()
    quality = json.loads((may.path / "quality.json").read_text())
    assert [quality[name] for name in ("error", "error_before", "error_by_level")] == [None] * 3
    assert may.fingerprint != april.fingerprint


def settings_for(root: Path, chosen: TokenizeSettings = CHOSEN, **run: object) -> Settings:
    plain: dict[str, object] = {"root": str(root), "name": "may", "parent": "april"}
    return Settings.model_validate({"run": plain | run, "tokenize": chosen.model_dump() | {"append": True}})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"levels": 4}, r"tokenize.levels is 4 and the tokens of .*april were made with 2"),
        ({"codes": 8}, r"tokenize.codes is 8 and .* made with 6"),
        ({"collisions": "extra"}, r"tokenize.collisions is extra and .* made with reassign"),
        ({"quantizer": "rqvae"}, r"tokenize.quantizer is rqvae and .* made with residual_kmeans"),
    ],
)
def test_settings_that_contradict_the_parents_are_refused(
    tmp_path: Path, changed: dict[str, object], words: str
) -> None:
    make(tmp_path, "april", list(range(12)), CHOSEN)
    assert parent_run(settings_for(tmp_path)) is not None
    with pytest.raises(SettingError, match=words):
        parent_run(settings_for(tmp_path, CHOSEN.model_copy(update=changed)))


def test_a_parent_that_is_not_there_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"run.parent is 'april', and there is no run .*april"):
        parent_run(settings_for(tmp_path))
    (tmp_path / "april").mkdir()
    with pytest.raises(ArtifactError, match=r"april/tokens does not exist"):
        parent_run(settings_for(tmp_path))
    assert parent_run(Settings()) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "other"}, r"encodes text by encoder in width 8, and .* by other in width 8"),
        ({"width": 9}, r"encodes text by encoder in width 8, and .* by encoder in width 9"),
    ],
)
def test_text_of_another_encoder_is_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    make(tmp_path, "april", list(range(12)), CHOSEN)
    vectors = write_vectors(Run(str(tmp_path), "may"), list(range(14)), **change)
    with pytest.raises(ArtifactError, match=words):
        append_items(Parent.open(Run(str(tmp_path), "april")), ids(list(range(14))), vectors, CHOSEN)


def test_both_names_of_the_packaged_encoder_are_one(tmp_path: Path) -> None:
    run = Run(str(tmp_path), "april")
    named = [text_encoder(write_vectors(run, [1, 2], model=name)) for name in (*PACKAGED, "other/all-MiniLM-L6-v2")]
    assert named == [PACKAGED[0], PACKAGED[0], "other/all-MiniLM-L6-v2"]


def test_a_tokenizer_without_text_cannot_go_on_and_neither_can_broken_vectors(tmp_path: Path) -> None:
    blind = CHOSEN.model_copy(update={"text_weight": 0.0})
    make(tmp_path, "april", list(range(12)), blind)
    with pytest.raises(ArtifactError, match="reads no text"):
        make(tmp_path, "may", list(range(14)), blind, "april")
    make(tmp_path, "june", list(range(12)), CHOSEN)
    vectors = write_vectors(Run(str(tmp_path), "july"), list(range(14)))
    vectors.text[13, 2] = torch.nan
    with pytest.raises(ArtifactError, match="text vectors of 1 items hold NaN or infinity, item 13 first"):
        append_items(Parent.open(Run(str(tmp_path), "june")), ids(list(range(14))), vectors, CHOSEN)
    assert not Run(str(tmp_path), "may").artifact("tokens").exists()


def test_vectors_that_are_not_the_parents_are_refused(tmp_path: Path) -> None:
    make(tmp_path, "april", list(range(12)), CHOSEN)
    write_vectors(Run(str(tmp_path), "april"), list(range(13)))
    with pytest.raises(SemconvError, match="made from different vectors"):
        Parent.open(Run(str(tmp_path), "april"))


def test_codes_are_stored_as_the_layout_says(tmp_path: Path) -> None:
    tokens = make(tmp_path, "april", list(range(12)), CHOSEN)
    assert tokens.codes.dtype == np.int32
    assert tokens.item_ids == ids(list(range(12)))
    assert tokens.reserved[1].shape == (0, 2)
