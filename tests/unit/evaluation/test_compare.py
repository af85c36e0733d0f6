"""Reports side by side: only of the same users, and real only what chance does not explain."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.compare import main
from semconv.artifacts import Report, finish, staging
from semconv.artifacts.report import METRICS, RANKS
from semconv.evaluation.compare import compare, open_reports
from semconv.evaluation.paired import Paired
from semconv.evaluation.significance import best_baseline, each_baseline, holm, is_baseline, significance

USERS = 400


def write(
    run: Path,
    ranks: dict[str, np.ndarray],
    targets: np.ndarray,
    deepest: int = 20,
    aliases: dict[str, str] | None = None,
) -> Path:
    """A report with nothing but what a comparison reads."""
    aliases = aliases or {}
    scores = {"filtered": {"metrics": {f"recall@{deepest}": 0.0}}}
    columns = {f"{name}.{kind}": values for name, values in ranks.items() for kind in ("filtered", "unfiltered")}
    with staging(run / "report") as folder:
        (folder / METRICS).write_text(
            json.dumps({"systems": dict.fromkeys([*ranks, *aliases], scores), "aliases": aliases})
        )
        table = pa.table({"user": np.arange(len(targets)), "target": targets, **columns})
        pq.write_table(table, folder / RANKS)
        finish(folder, "report", settings={}, inputs={}, counts={}, request="r", seconds=1.0)
    return run / "report"


def ranks(chance: float, seed: int) -> np.ndarray:
    """Hits at rank 3 by ``chance``; some users' targets far down the list."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(USERS) < chance, 3, np.where(rng.random(USERS) < 0.1, 15, 0)).astype(np.int32)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("compare")
    targets = np.arange(USERS, dtype=np.int32)
    sasrec = ranks(0.2, 1)
    better = np.where((sasrec == 0) & (ranks(0.2, 2) == 3), 3, sasrec).astype(np.int32)
    return [
        write(folder / "old", {"sasrec": sasrec, "popularity": ranks(0.02, 3)}, targets),
        write(folder / "new", {"sasrec": sasrec, "converged": better}, targets),
    ]


def test_the_same_system_of_two_reports(reports: list[Path]) -> None:
    side = compare(open_reports(reports))
    assert [str(entry) for entry in side.entries] == ["old/sasrec", "old/popularity", "new/sasrec", "new/converged"]
    assert {(one.found.first, one.found.second) for one in side.differences} == {("old/sasrec", "new/sasrec")}
    assert all(one.found.difference == 0 and one.corrected == 1 and not one.real for one in side.differences)
    assert side.users == USERS


def test_every_pair_of_the_systems_named(reports: list[Path]) -> None:
    side = compare(open_reports([folder.parent for folder in reports]), ["sasrec", "converged"])
    verdicts = {(one.found.first, one.found.second, one.found.metric): one.real for one in side.differences}
    assert len(verdicts) == 3 * 2
    assert verdicts["old/sasrec", "new/converged", "ndcg@10"]
    assert verdicts["new/sasrec", "new/converged", "recall@10"]
    assert not verdicts["old/sasrec", "new/sasrec", "ndcg@10"]
    hits = Report.open(reports[0]).ranks["sasrec.filtered"].to_numpy()
    assert side.paired.value("old/sasrec", "recall@10") == pytest.approx(np.mean((hits > 0) & (hits <= 10)))
    alone = compare(open_reports(reports[:1]))
    assert len(alone.differences) == 2


def test_the_command_prints_both_tables(reports: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([*map(str, reports), "--system", "sasrec", "--system", "converged"])
    printed = capsys.readouterr().out
    assert "old/sasrec - new/converged  ndcg@10  -0." in printed
    assert "real\n" in printed
    assert "not shown to be real" in printed


def test_a_system_of_two_names_is_shown_once_and_found_by_either(tmp_path: Path) -> None:
    targets = np.arange(USERS, dtype=np.int32)
    folders = [
        write(
            tmp_path / spelling,
            {f"generative_{spelling}": ranks(chance, 5), "sasrec": ranks(0.2, 1)},
            targets,
            aliases={"generative": f"generative_{spelling}"},
        )
        for spelling, chance in (("tokens", 0.1), ("compact", 0.3))
    ]
    reports = open_reports(folders)
    assert [entry.system for entry in compare(reports).entries] == [
        "generative_tokens",
        "sasrec",
        "generative_compact",
        "sasrec",
    ]
    asked = compare(reports, ["generative", "generative_compact"])
    assert [str(entry) for entry in asked.entries] == ["tokens/generative_tokens", "compact/generative_compact"]
    assert [one.real for one in asked.differences] == [True, True]


@pytest.mark.parametrize("spoil", ["users", "targets", "depth", "system"])
def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, reports: list[Path], capsys: pytest.CaptureFixture[str], spoil: str
) -> None:
    targets = np.arange(USERS, dtype=np.int32)
    hits = ranks(0.2, 1)
    if spoil == "users":
        targets, hits = targets[:-1], hits[:-1]
    elif spoil == "targets":
        targets[7] += 1
    other = write(tmp_path / "other", {"sasrec": hits}, targets, 5 if spoil == "depth" else 20)
    asked = [str(reports[0]), str(other), *(["--system", "oracle"] if spoil == "system" else [])]
    with pytest.raises(SystemExit, match="2"):
        main(asked)
    message = capsys.readouterr().err
    expected = {
        "users": "do not speak of the same users",
        "targets": "do not speak of the same targets",
        "depth": "other ranks 5 items a user",
        "system": "No report has the system 'oracle'",
    }
    assert expected[spoil] in message
    assert message.count("\n") == 1


def test_a_report_named_twice_or_not_there_is_refused(
    tmp_path: Path, reports: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for asked in ([reports[0], reports[0]], [reports[0], tmp_path / "none"]):
        with pytest.raises(SystemExit, match="2"):
            main([*map(str, asked)])
        assert capsys.readouterr().err.count("\n") == 1


def test_systems_to_beat() -> None:
    mine = ["generative", "generative_tokens", "generative_compact", "converged", "converged_without_generative"]
    assert not any(map(is_baseline, mine))
    assert all(map(is_baseline, ["random", "popularity", "item_to_item_tuned", "sasrec", "dccf"]))


def test_the_strongest_baseline_is_chosen_among_baselines_alone() -> None:
    found = {"random": ranks(0.01, 1), "sasrec": ranks(0.2, 2), "dccf": ranks(0.1, 3), "generative": ranks(0.9, 4)}
    paired = Paired.of(found, (10,), 200, seed=1)
    assert best_baseline(paired, "ndcg@10") == "sasrec"
    compared = significance(paired, 10)
    assert set(compared) == {f"{name}_vs_best_baseline" for name in ("random", "dccf", "generative")}
    assert all(one.second == "sasrec" for pair in compared.values() for one in pair)
    assert compared["generative_vs_best_baseline"][0].p < 0.05
    assert each_baseline(paired, 10) == {}
    found["converged"] = np.maximum(found["sasrec"], found["dccf"])
    each = each_baseline(Paired.of(found, (10,), 200, seed=1), 10)
    assert list(each) == ["random", "sasrec", "dccf"]
    assert all((one.first, one.second) == ("converged", name) for name, pair in each.items() for one in pair)
    only = Paired.of({"generative": found["generative"]}, (10,), 50, seed=1)
    assert significance(only, 10) == {}


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_keeps_the_order_and_never_helps(p_values: list[float]) -> None:
    corrected = holm(p_values)
    for p, after in zip(p_values, corrected, strict=True):
        assert p <= after <= min(1.0, len(p_values) * p + 1e-12)
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    assert [corrected[place] for place in order] == sorted(corrected)
