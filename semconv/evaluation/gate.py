"""The gate: may a candidate take the place of the current release?

Quality is compared on the users whom both were asked about, by the paired bootstrap of `Paired`; coverage, size and
latency by a share that the settings allow. Nothing is measured or opened here.

U users whom both reports ask about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from semconv.artifacts.ragged import Int32
from semconv.config.release import ReleaseSettings
from semconv.evaluation.paired import Paired
from semconv.evaluation.results import headline_of

PAIRED_SHARE = 0.5
"""Of the candidate's users, how many both must have been asked about for the rest to be left out of a comparison."""
RESAMPLES = 2000
ASKED = pa.schema([("user", pa.string()), ("target", pa.string()), ("rank", pa.int32())])
"""What a report says of each of its users: who, which item was asked for, and where it came, 0 where it did not."""


@dataclass(frozen=True)
class Measured:
    """What is known of one side.

    ``figures``: means over users by metric (recall@k, ndcg@k), with ``intervals`` of them; ``shown``: how many items
    are recommended to anybody; ``asked``: schema `ASKED`, each user once; ``users`` in the snapshot and its ``bytes``;
    ``seconds`` by what was timed, on this machine just now.
    """

    cutoffs: tuple[int, ...]
    figures: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    shown: int
    asked: pa.Table
    users: int
    bytes: int
    seconds: Mapping[str, float]

    @property
    def headline(self) -> int:
        """The cut-off that is looked at."""
        return headline_of(sorted(self.cutoffs))


@dataclass(frozen=True)
class Verdict:
    """One comparison: ``what``, both figures (``current`` is None where there is none), and whether it is ``refused``.

    ``told`` says why or why not, in words.
    """

    what: str
    candidate: float
    current: float | None
    refused: bool
    told: str

    def as_json(self) -> dict[str, Any]:
        """For a manifest."""
        return asdict(self)


def judge(candidate: Measured, current: Measured | None, limits: ReleaseSettings) -> list[Verdict]:
    """Every comparison in turn: quality, coverage, users, size, latency. A first release is compared with nothing."""
    least = 1 - limits.coverage_drop
    shown, users, size = (None, None, None) if current is None else (current.shown, current.users, current.bytes)
    before = current.seconds if current is not None else {}
    return [
        *_quality(candidate, current),
        _at_least("items shown", candidate.shown, shown, least),
        _at_least("users", candidate.users, users, least),
        _at_most("bytes", candidate.bytes, size, limits.size_growth),
        *(
            _at_most(f"seconds of a {name}", value, before.get(name), limits.latency_growth)
            for name, value in candidate.seconds.items()
        ),
    ]


def text(verdicts: Sequence[Verdict]) -> list[str]:
    """Lines for a terminal."""
    width = max(len(verdict.what) for verdict in verdicts)
    heads = f"{'':<{width}}  {'candidate':>11}  {'current':>11}"
    return [heads] + [
        f"{verdict.what:<{width}}  {_figure(verdict.candidate):>11}  {_figure(verdict.current):>11}  "
        f"{'REFUSED' if verdict.refused else 'ok':<7}  {verdict.told}"
        for verdict in verdicts
    ]


def _quality(candidate: Measured, current: Measured | None) -> list[Verdict]:
    """NDCG and Recall at the candidate's headline."""
    metrics = [f"{metric}@{candidate.headline}" for metric in ("ndcg", "recall")]
    if current is None:
        return [Verdict(metric, candidate.figures[metric], None, False, "the first release") for metric in metrics]
    ranks = _paired_ranks(candidate.asked, current.asked)
    users = len(ranks["candidate"])
    k = candidate.headline
    if users and users >= PAIRED_SHARE * candidate.asked.num_rows and k <= max(current.cutoffs):
        paired = Paired.of(ranks, (k,), RESAMPLES, 0)
        return [_from_pairs(paired, metric, users) for metric in metrics]
    return [_from_interval(candidate, current, metric) for metric in metrics]


def _from_pairs(paired: Paired, metric: str, users: int) -> Verdict:
    found = paired.compare("candidate", "current", metric)
    told = f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}] on {users:,} users asked both"
    candidate, current = (paired.value(name, metric) for name in ("candidate", "current"))
    return Verdict(metric, candidate, current, found.high < 0, told)


def _from_interval(candidate: Measured, current: Measured, metric: str) -> Verdict:
    """Where the reports are of other users: a figure below all that the current one's interval holds is refused."""
    value, then = candidate.figures[metric], current.figures.get(metric)
    if then is None:
        return Verdict(metric, value, None, False, "the current release has no such figure")
    low, high = current.intervals[metric]
    return Verdict(
        metric, value, then, value < low, f"other users; the current figure's interval: {low:.4f}, {high:.4f}"
    )


def _paired_ranks(candidate: pa.Table, current: pa.Table) -> dict[str, Int32]:
    """Ranks int32 (U) of both where they were asked about the same user and the same item."""
    keys = ["user", "target"]
    joined = candidate.join(current, keys, join_type="inner", right_suffix=" before").sort_by("user")
    return {
        "candidate": joined["rank"].to_numpy().astype(np.int32),
        "current": joined["rank before"].to_numpy().astype(np.int32),
    }


def _at_least(what: str, value: float, current: float | None, share: float) -> Verdict:
    if current is None:
        return Verdict(what, value, None, False, "the first release")
    return Verdict(what, value, current, value < share * current, f"at least {_figure(share * current)}")


def _at_most(what: str, value: float, current: float | None, times: float) -> Verdict:
    if current is None:
        return Verdict(what, value, None, False, "nothing to compare it with")
    return Verdict(what, value, current, value > times * current, f"at most {_figure(times * current)}")


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
