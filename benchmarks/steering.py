"""Steering: do lists follow a wish in words, and the history still.

python -m benchmarks.steering --run runs/beauty --out FILE.json [--users N] [--depth N] [--quick]

Validation users whom no blend was fitted on wish for what they took next, in one way at a time: a phrase of its title,
a telling category, its brand.
Compared, items of the history left out:

    steered     history and wish, by the blend ``steered``
    unsteered   ``converged``, which is not told the wish
    filtered    the first ``depth`` of ``converged``, those that match before the others; it is told the kind of
                the wish, and matches as the figures do
    wish_only   the wish alone: how well an item matches in words plus the cosine of its text

``results.<kind>``: ``users``; ``share_possible@10``, what a list of matching items alone would reach; and by system
``recall@10``, ``share_matching@10`` of the ten best, and ``among_unsteered@100``, the share of the ten best that the
unsteered list has among its first hundred. An item matches a brand or a category that it has by name, and a phrase if
its title has all the words. ``steered_over_filtered`` is the difference in recall with its 95% interval and p-value, by
paired bootstrap over users. Nothing is fitted or chosen here, and the test split is not opened.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from benchmarks.convergence import searched
from benchmarks.harness import command
from semconv.alignment.phrases import words_of
from semconv.artifacts import Convergence, Corpus, Run, Split
from semconv.artifacts.ragged import Int32
from semconv.behaviour.ordering import top_k
from semconv.behaviour.training import sample
from semconv.errors import ArtifactError
from semconv.evaluation.intervals import Bootstrap
from semconv.recommend.load import open_steered
from semconv.recommend.ranker import NO_ITEM
from semconv.recommend.steered import SteeredRanker
from semconv.recommend.wish_index import plain
from semconv.recommend.wish_simulation import KINDS, Kind, WishSimulation

SEED, BATCH, RESAMPLES = 0, 64, 2000
CUT, NEAR = 10, 100
SYSTEMS = ("steered", "unsteered", "filtered", "wish_only")

Mask = npt.NDArray[np.bool_]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--run", type=Path, required=True, help="folder of a run that was converged with wishes")
    parser.add_argument("--users", type=int, default=2000, help="users, at most")
    parser.add_argument("--depth", type=int, default=1000, help="items of the unsteered list that are filtered")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Every kind of wish on the same users."""
    run = Run(str(options.run.parent), options.run.name)
    corpus, blend = Corpus.open(run.artifact("corpus")), Convergence.open(run.artifact("blend"))
    ranker = open_steered(run, searched(blend))
    told = blend.manifest.settings
    others = unfitted(corpus.split("valid"), told["converge"]["users"], told["seed"])
    split = sample(others, 200 if options.quick else options.users, np.random.default_rng(SEED))
    return steering(ranker, corpus.items, split, options.depth)


def unfitted(valid: Split, users: int, seed: int) -> Split:
    """The validation users besides the ``users`` that blends are fitted on; `ArtifactError` where there are none."""
    fitted = sample(valid, users, np.random.default_rng(seed))
    rows = np.flatnonzero(~np.isin(valid.users, fitted.users))
    if not len(rows):
        raise ArtifactError("The blends were fitted on all validation users", "Converge with fewer (--converge.users)")
    return Split(valid.users[rows], valid.histories.take(rows), valid.targets[rows])


def steering(ranker: SteeredRanker, items: pa.Table, split: Split, depth: int) -> dict[str, Any]:
    """Figures by kind of wish; see the module's own text. Raises `ArtifactError` where no item has a word."""
    simulation, matching, random = WishSimulation(items), Matching(items), np.random.default_rng(SEED)
    lists: dict[Kind, list[dict[str, Int32]]] = {kind: [] for kind in KINDS}
    matches: dict[Kind, list[Mask]] = {kind: [] for kind in KINDS}
    targets: dict[Kind, list[int]] = {kind: [] for kind in KINDS}
    for start in range(0, len(split.users), BATCH):
        rows = np.arange(start, min(start + BATCH, len(split.users)))
        histories = list(split.histories.take(rows))
        deep = ranker.converged.rank(histories, max(depth, NEAR), exclude=histories).items
        usual = ranker.converged.rank(histories, CUT, exclude=histories).items
        for kind in KINDS:
            asking = [
                row for row, target in zip(rows, split.targets[rows], strict=True) if kind in simulation.kinds(target)
            ]
            if not asking:
                continue
            wishes = [simulation.wish(int(split.targets[row]), kind, random) for row in asking]
            having = list(split.histories.take(np.asarray(asking)))
            steered = ranker.towards(wishes).rank(having, CUT, exclude=having).items
            alone = wish_only(ranker, wishes, having)
            for place, (row, wish) in enumerate(zip(asking, wishes, strict=True)):
                matches_N, deep_K = matching.of(kind, wish), deep[row - start]
                found = {"steered": steered[place], "unsteered": usual[row - start], "wish_only": alone[place]}
                found |= {"filtered": first_matching(deep_K[:depth], matches_N)[:CUT], "near": deep_K[:NEAR]}
                lists[kind].append(found)
                matches[kind].append(matches_N)
                targets[kind].append(int(split.targets[row]))
    if not any(targets.values()):
        raise ArtifactError("No held-out item has a title, a brand or a category to wish for", "Give items words")
    return {kind: figures(lists[kind], matches[kind], targets[kind]) for kind in KINDS if targets[kind]}


class Matching:
    """Which items match a wish of a known kind, by what the catalogue says of them."""

    def __init__(self, items: pa.Table) -> None:
        """``items`` has schema `ITEMS`."""
        self._titles = [set(words_of(title)) for title in items["title"].to_pylist()]
        self._brands = [plain(brand) for brand in items["brand"].to_pylist()]
        self._categories = [{plain(name) for name in names or ()} for names in items["categories"].to_pylist()]

    def of(self, kind: Kind, wish: str) -> Mask:
        """Bool (N): brand equal, category among the item's, all words of the phrase in the title."""
        if kind == "brand":
            return np.array([brand == plain(wish) for brand in self._brands])
        if kind == "category":
            return np.array([plain(wish) in names for names in self._categories])
        words = set(words_of(wish))
        return np.array([words <= title for title in self._titles])


def wish_only(ranker: SteeredRanker, wishes: Sequence[str], exclude: Sequence[Int32]) -> Int32:
    """The best items for the wishes alone, int32 (B, `CUT`)."""
    about = ranker.wishes.about(wishes)
    return top_k(about.match_BN + about.cosine_BN, CUT, about.counts_N, exclude)[0]


def first_matching(items: Int32, matches_N: Mask) -> Int32:
    """The same list, those that match before the others."""
    wanted = matches_N[items] & (items != NO_ITEM)
    return np.concatenate([items[wanted], items[~wanted]])


def figures(lists: Sequence[Mapping[str, Int32]], matches: Sequence[Mask], targets: Sequence[int]) -> dict[str, Any]:
    """What the lists of each system reach, over users."""
    found: dict[str, Any] = {
        "users": len(targets),
        f"share_possible@{CUT}": float(np.mean([min(CUT, int(match_N.sum())) / CUT for match_N in matches])),
    }
    ranks_SU = np.zeros((len(SYSTEMS), len(targets)), np.int32)
    for place, system in enumerate(SYSTEMS):
        lists_Uk = [named[system][named[system] != NO_ITEM] for named in lists]
        for row, (items, target) in enumerate(zip(lists_Uk, targets, strict=True)):
            if target in items:
                ranks_SU[place, row] = 1 + int(np.flatnonzero(items == target)[0])
        shares = [match_N[items].sum() / CUT for items, match_N in zip(lists_Uk, matches, strict=True)]
        near = [np.isin(items, named["near"]).sum() / CUT for items, named in zip(lists_Uk, lists, strict=True)]
        found[system] = {
            f"recall@{CUT}": float((ranks_SU[place] > 0).mean()),
            f"share_matching@{CUT}": float(np.mean(shares)),
            f"among_unsteered@{NEAR}": float(np.mean(near)),
        }
    steered, filtered = SYSTEMS.index("steered"), SYSTEMS.index("filtered")
    low, high, p = Bootstrap.of(ranks_SU, CUT, RESAMPLES, SEED).difference(steered, filtered, np.ones(CUT))
    difference = float((ranks_SU[steered] > 0).mean() - (ranks_SU[filtered] > 0).mean())
    found["steered_over_filtered"] = {"difference": difference, "low": low, "high": high, "p": p}
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    command("steering", measure, arguments)
