"""The gate: a real loss is refused, chance is not, and neither are more items or users."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from semconv.config.release import ReleaseSettings
from semconv.evaluation.gate import ASKED, Measured, Verdict, judge, text
from semconv.evaluation.gate_sides import figures_of, remembered
from semconv.evaluation.metrics import gains, histogram, metric_names, weighted
from semconv.evaluation.paired import Paired

USERS, K = 400, 10
LIMITS = ReleaseSettings()
METRICS = ["ndcg@10", "recall@10"]


def ranks_of(hits: float, seed: int = 0) -> list[int]:
    """Hit ranks of users of whom a share is answered at a place from 1 to K."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(USERS) < hits, rng.integers(1, K + 1, USERS), 0).tolist()  # type: ignore[no-any-return]


def side(ranks: list[int], users: list[str] | None = None, **more: object) -> Measured:
    found = np.asarray(ranks, np.int32)
    means = weighted(histogram(found, K), gains((5, K), K), len(found))
    intervals = Paired.of({"only": found}, (5, K), 200, 0).intervals("only")
    asked = users or [f"user {number}" for number in range(len(ranks))]
    columns = [asked, ["item"] * len(ranks), ranks]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, ASKED, strict=True)]
    figures = dict(zip(metric_names((5, K)), means.tolist(), strict=True))
    made = Measured((5, K), figures, intervals, 100, pa.table(arrays, schema=ASKED), 1000, 10_000, {"lookup": 1e-5})
    return replace(made, **more)  # type: ignore[arg-type]


def refused(verdicts: list[Verdict]) -> list[str]:
    return [verdict.what for verdict in verdicts if verdict.refused]


def test_the_first_release_is_compared_with_nothing() -> None:
    verdicts = judge(side(ranks_of(0.3)), None, LIMITS)
    assert refused(verdicts) == []
    assert {verdict.what for verdict in verdicts} == {*METRICS, "items shown", "users", "bytes", "seconds of a lookup"}


def test_the_same_again_passes() -> None:
    current = side(ranks_of(0.3))
    verdicts = judge(current, current, LIMITS)
    assert refused(verdicts) == []
    assert verdicts[0].told == "+0.0000 [+0.0000, +0.0000] on 400 users asked both"


def test_a_loss_is_refused_where_pairs_show_it_and_intervals_alone_would_not() -> None:
    ranks = ranks_of(0.3)
    hits = [place for place, rank in enumerate(ranks) if rank]
    worse = [0 if place in hits[:12] else rank for place, rank in enumerate(ranks)]
    candidate, current = side(worse), side(ranks)
    assert candidate.figures["recall@10"] > current.intervals["recall@10"][0]
    assert refused(judge(candidate, current, LIMITS)) == METRICS


def test_a_loss_that_chance_explains_passes_and_so_does_a_gain() -> None:
    ranks = ranks_of(0.3)
    one = next(place for place, rank in enumerate(ranks) if rank)
    other = next(place for place, rank in enumerate(ranks) if not rank)
    moved = ranks.copy()
    moved[one], moved[other] = 0, ranks[one] + (ranks[one] < K)
    assert refused(judge(side(moved), side(ranks), LIMITS)) == []
    assert refused(judge(side([1] * USERS), side(ranks), LIMITS)) == []


def test_users_whom_only_one_was_asked_about_are_left_out_of_pairs() -> None:
    ranks = ranks_of(0.3)
    others = [f"user {number}" if number < 300 else f"new {number}" for number in range(USERS)]
    candidate = side(ranks[:300] + [0] * 100, others)
    verdicts = judge(candidate, side(ranks), LIMITS)
    assert refused(verdicts) == []
    assert "on 300 users asked both" in verdicts[0].told


def test_reports_of_other_users_are_held_against_the_interval() -> None:
    strangers = [f"new {number}" for number in range(USERS)]
    current = side(ranks_of(0.3))
    assert refused(judge(side(ranks_of(0.29, 1), strangers), current, LIMITS)) == []
    assert refused(judge(side(ranks_of(0.1, 1), strangers), current, LIMITS)) == METRICS


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"shown": 94}, "items shown"),
        ({"users": 949}, "users"),
        ({"bytes": 15_001}, "bytes"),
        ({"seconds": {"lookup": 2.1e-5}}, "seconds of a lookup"),
    ],
)
def test_less_coverage_fewer_users_more_bytes_and_slower_answers_are_refused_beyond_what_is_allowed(
    change: dict[str, object], what: str
) -> None:
    current = side(ranks_of(0.3))
    assert refused(judge(replace(current, **change), current, LIMITS)) == [what]  # type: ignore[arg-type]
    allowed = replace(current, shown=95, users=950, bytes=15_000, seconds={"lookup": 1.9e-5, "ranking": 1.0})
    assert refused(judge(allowed, current, LIMITS)) == []


def test_a_release_whose_run_is_gone_is_known_from_its_manifest() -> None:
    current = side(ranks_of(0.3))
    known = remembered(figures_of(current))
    assert refused(judge(current, known, LIMITS)) == []
    assert refused(judge(side([0] * USERS, shown=1), known, LIMITS)) == [*METRICS, "items shown"]


def test_the_table_says_what_was_refused() -> None:
    current = side(ranks_of(0.3))
    lines = text(judge(replace(current, bytes=99_999), current, LIMITS))
    assert [line.split()[0] for line in lines if "REFUSED" in line] == ["bytes"]
