"""Reasons: what moved each recommended item, read from the scores themselves.

Evidence is taken away, the score is computed again, and the difference is its contribution: occlusion (Zeiler & Fergus
2014), leave one covariate out (Lei et al. 2018). Scores are log-probabilities but for a constant of the history, so
what is compared are log-probabilities over one fixed set of candidates, the information difference of Robnik-Sikonja &
Kononenko (2008), in nats: +0.69 says that the item is twice as likely with the evidence as without.
Contributions need not add up to anything: two sources that say the same can replace each other.

H histories read (the whole one, then it without each left-out item), S sources, X = H + S ways to score, M candidates,
F features, I items asked about, N items of the catalogue, L levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from semconv.artifacts.ragged import Int32
from semconv.errors import SettingError
from semconv.recommend.converged import ConvergedRanker
from semconv.recommend.evidence import source_name, source_of
from semconv.recommend.generative import GenerativeRanker
from semconv.recommend.generative_source import scores_of
from semconv.recommend.ranker import NO_ITEM, Ranker
from semconv.recommend.rules import Ruled
from semconv.recommend.steered import SteeredRanker
from semconv.recommend.wish import FEATURES
from semconv.recommend.wish_index import says_something

WISH = source_of(FEATURES[0])
LAST = 10
"""Items of a history that are left out in turn, the last ones."""


@dataclass(frozen=True)
class SourceReason:
    """What it did for an item that a source tells the candidates apart, in nats."""

    source: str
    contribution: float


@dataclass(frozen=True)
class HistoryReason:
    """What it did for an item that the history holds another, by its index, in nats."""

    item: int
    contribution: float


@dataclass(frozen=True)
class SharedPrefix:
    """The first codes that an item has in common with one of the history, by its index."""

    codes: tuple[int, ...]
    item: int


@dataclass(frozen=True)
class Reason:
    """Why an item is recommended; `dataclasses.asdict` gives plain JSON values.

    ``score`` as the ranking has it. ``sources`` and ``history`` hold the largest contribution first, those that spoke
    against the item last; a system that is one source has no ``sources``. ``wish``: what the item has of the wish, by
    the names of `semconv.recommend.wish.FEATURES`, whose contribution is that of the source ``wish``; none without one.
    """

    item: int
    score: float
    sources: tuple[SourceReason, ...]
    history: tuple[HistoryReason, ...]
    prefix: SharedPrefix | None
    wish: dict[str, float] | None


_Contribution = TypeVar("_Contribution", SourceReason, HistoryReason)


class _Scored(NamedTuple):
    """Scores of the items float (I), their log-probabilities in every way to score (X, I), names of the sources.

    ``wished``: what each item has of the wish, none without one.
    """

    scores_I: torch.Tensor
    log_XI: torch.Tensor
    sources: tuple[str, ...]
    wished: Sequence[dict[str, float] | None]


@torch.no_grad()
def reasons(
    ranker: Ranker,
    codes_NL: Int32,
    history: Int32,
    items: Int32,
    k: int,
    *,
    exclude: Int32 | None = None,
    wish: str = "",
    last: int = LAST,
) -> list[Reason]:
    """Why ``ranker`` puts ``items`` (I) of the catalogue where it does for ``history``, one reason for each.

    ``k``, ``exclude`` and ``wish`` are those of the ranking, which the candidates depend on; `NO_ITEM` is passed over.
    Each of the last ``last`` distinct items is left out wherever the history holds it. A source is muted by giving
    every candidate the mean of what it says of them. Costs one reading of 1 + ``last`` histories.

    Raises `SettingError` for a system that is neither a blend nor the aligned model, and for a wish to one that takes
    none.
    """
    asked = items[items != NO_ITEM]
    if not len(asked):
        return []
    left_out = list(dict.fromkeys(history[::-1].tolist()))[:last]
    histories = [history, *(history[history != item] for item in left_out)]
    decides, blocked = _decides(ranker, wish)
    barred = blocked if exclude is None else np.concatenate([blocked, exclude]).astype(np.int32)
    if isinstance(decides, ConvergedRanker):
        scored = _blended(decides, histories, asked, k, barred)
    else:
        scored = _spoken(decides, histories, asked, k, barred)
    contributions_XI = scored.log_XI[:1] - scored.log_XI[1:]
    of_history_RI, of_sources_SI = contributions_XI[: len(left_out)], contributions_XI[len(left_out) :]
    return [
        Reason(
            item=item,
            score=float(scored.scores_I[place]),
            sources=_largest_first(map(SourceReason, scored.sources, of_sources_SI[:, place].tolist())),
            history=_largest_first(map(HistoryReason, left_out, of_history_RI[:, place].tolist())),
            prefix=shared_prefix(codes_NL, item, history),
            wish=scored.wished[place],
        )
        for place, item in enumerate(asked.tolist())
    ]


def shared_prefix(codes_NL: Int32, item: int, history: Int32) -> SharedPrefix | None:
    """The longest prefix of codes that ``item`` shares with another of the history, the latest among equals.

    None where no other item begins with the same code.
    """
    others = history[history != item][::-1]
    if not len(others):
        return None
    shared = (codes_NL[others] == codes_NL[item]).cumprod(axis=1).sum(axis=1)
    best = int(shared.argmax())
    if not shared[best]:
        return None
    return SharedPrefix(tuple(codes_NL[item, : shared[best]].tolist()), int(others[best]))


def _decides(ranker: Ranker, wish: str) -> tuple[ConvergedRanker | GenerativeRanker, Int32]:
    """The system whose scores a ranking has, and the items that rules keep from it."""
    wished = says_something(wish)
    ruled = ranker.unsteered if isinstance(ranker, SteeredRanker) else ranker
    blocked = ruled.rules.blocked if isinstance(ruled, Ruled) else np.zeros(0, np.int32)
    if isinstance(ranker, SteeredRanker):
        return ranker.towards([wish]) if wished else ranker.converged, blocked
    if wished:
        raise SettingError(f"The system {ranker.name} takes no wishes", "Leave the wish out, or ask the steered system")
    decides = ranker.ranker if isinstance(ranker, Ruled) else ranker
    if isinstance(decides, (ConvergedRanker, GenerativeRanker)):
        return decides, blocked
    raise SettingError(f"The system {ranker.name} gives no reasons", "Set recommend.system to converged or generative")


def _largest_first(found: Iterable[_Contribution]) -> tuple[_Contribution, ...]:
    return tuple(sorted(found, key=lambda one: -one.contribution))


def _blended(ranker: ConvergedRanker, histories: Sequence[Int32], asked: Int32, k: int, exclude: Int32) -> _Scored:
    """Everything by the blend, over the candidates of the whole history."""
    readings = [source.read(histories) for source in ranker.sources]
    barred = [exclude] * len(histories)
    proposed = [reading.best(max(k, ranker.candidates), barred)[0] for reading in readings]
    found = np.unique(np.concatenate([*proposed, asked]))
    items_M = torch.from_numpy(found[found != NO_ITEM].astype(np.int64))
    items_HM = items_M.expand(len(histories), -1)
    features_HMF = torch.cat([reading.features(items_HM) for reading in readings], dim=2)

    names = tuple(source_name(source) for source in ranker.sources)
    places_I = torch.searchsorted(items_M, torch.from_numpy(asked.astype(np.int64)))
    columns = {
        name: [column for column, feature in enumerate(ranker.blend.features) if source_of(feature) == name]
        for name in names
    }
    muted_SMF = features_HMF[:1].repeat(len(names), 1, 1)
    mean_F = features_HMF[0].mean(dim=0)
    for place, name in enumerate(names):
        muted_SMF[place, :, columns[name]] = mean_F[columns[name]]
    scores_XM = ranker.blend(torch.cat([features_HMF, muted_SMF]))

    wished: list[dict[str, float] | None] = [None] * len(asked)
    if WISH in columns:
        told = [ranker.blend.features[column].removeprefix(f"{WISH}.") for column in columns[WISH]]
        known_IF = features_HMF[0][places_I][:, columns[WISH]]
        wished = [dict(zip(told, known_F, strict=True)) for known_F in known_IF.tolist()]
    return _Scored(scores_XM[0, places_I], scores_XM.log_softmax(dim=1)[:, places_I], names, wished)


def _spoken(ranker: GenerativeRanker, histories: Sequence[Int32], asked: Int32, k: int, exclude: Int32) -> _Scored:
    """Everything by the aligned model, over what its search finds for the whole history."""
    found = ranker.rank(histories[:1], max(k, ranker.beams), exclude=[exclude]).items[0]
    items = np.union1d(found[found != NO_ITEM], asked)
    items_M = torch.from_numpy(items.astype(np.int64))
    scores_HM = scores_of(ranker, histories, items_M.expand(len(histories), -1))
    places_I = torch.searchsorted(items_M, torch.from_numpy(asked.astype(np.int64)))
    return _Scored(scores_HM[0, places_I], scores_HM.log_softmax(dim=1)[:, places_I], (), [None] * len(asked))
