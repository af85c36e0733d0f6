"""Reports side by side: the same users' hit ranks from several runs, and which of their differences are real."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from semconv.artifacts import Report
from semconv.artifacts.ragged import Int32
from semconv.errors import ArtifactError, InputError, SettingError
from semconv.evaluation.paired import Comparison, Paired
from semconv.evaluation.rankings import Filter, column
from semconv.evaluation.significance import holm

K = 10
METRICS = (f"recall@{K}", f"ndcg@{K}")
LEVEL = 0.05
RESAMPLES = 10_000
RESAMPLES_A_TEST = 80
"""Resamples a test at least: the smallest p of R is 2 / (R + 1), and Holm multiplies it by the number of tests."""


@dataclass(frozen=True)
class Entry:
    """One system of one report."""

    report: str
    system: str

    def __str__(self) -> str:
        return f"{self.report}/{self.system}"


@dataclass(frozen=True)
class Difference:
    """Two entries by their names in one metric; ``corrected``: p after Holm's correction for all that is compared."""

    found: Comparison
    corrected: float

    @property
    def real(self) -> bool:
        """Whether chance is an unlikely cause even among so many comparisons."""
        return self.corrected < LEVEL


@dataclass(frozen=True)
class SideBySide:
    """Every entry's figures on the same ``users``, and the differences asked for."""

    users: int
    entries: tuple[Entry, ...]
    paired: Paired
    differences: tuple[Difference, ...]


def open_reports(folders: Sequence[Path]) -> dict[str, Report]:
    """Reports by a short name: that of their run, or the path where two runs have the same.

    A folder is a report, or a run that holds one. Raises `ArtifactError` for one that is neither.
    """
    found = [folder / Report.kind if (folder / Report.kind).is_dir() else folder for folder in folders]
    names = [folder.resolve().parent.name for folder in found]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    if len(set(names)) < len(names):
        raise SettingError("A report is named twice", "Name every report once")
    return {name: Report.open(folder) for name, folder in zip(names, found, strict=True)}


def compare(
    reports: Mapping[str, Report], systems: Sequence[str] = (), kind: Filter = "filtered", seed: int = 0
) -> SideBySide:
    """Put the reports' ``systems`` side by side, all of them where none are named; each once, under its own name.

    Each pair of entries is compared; where no systems are named and there are several reports, only the same system
    in two of them. Raises `InputError` where reports are of other users or targets, or not deep enough, and
    `SettingError` for a system that no report has.
    """
    _require_same_users(reports)
    _require_depth(reports)
    ranks = _ranks(reports, systems, kind)
    pairs = [
        (first, second)
        for first, second in combinations(ranks, 2)
        if systems or len(reports) == 1 or first.system == second.system
    ]
    tests = len(pairs) * len(METRICS)
    resamples = max(RESAMPLES, RESAMPLES_A_TEST * tests)
    paired = Paired.of({str(entry): ranks_U for entry, ranks_U in ranks.items()}, (K,), resamples, seed)
    found = [paired.compare(str(first), str(second), metric) for first, second in pairs for metric in METRICS]
    corrected = holm([one.p for one in found])
    differences = tuple(Difference(one, p) for one, p in zip(found, corrected, strict=True))
    return SideBySide(paired.bootstrap.users, tuple(ranks), paired, differences)


def text(side: SideBySide) -> list[str]:
    """Lines for a terminal: every entry's figures with intervals, then the differences and which are real."""
    width = max(len("report/system"), *(len(str(entry)) for entry in side.entries))
    lines = [f"{side.users} users, the same in every report", _heads("report/system", width)]
    for entry in side.entries:
        cells = [
            _figure(side.paired.value(str(entry), metric), side.paired.interval(str(entry), metric))
            for metric in METRICS
        ]
        lines.append("  ".join([f"{entry!s:<{width}}", *cells]))
    if not side.differences:
        return [*lines, "", "no two systems to compare"]
    lines += ["", f"differences, paired; p as corrected by Holm for {len(side.differences)} comparisons"]
    for difference in side.differences:
        one = difference.found
        value = _figure(one.difference, (one.low, one.high), "+")
        verdict = "real" if difference.real else "not shown to be real"
        p = f"p {one.p:.4f}, corrected {difference.corrected:.4f}"
        lines.append(f"{one.first} - {one.second}  {one.metric}  {value}  {p}  {verdict}")
    return lines


def _require_same_users(reports: Mapping[str, Report]) -> None:
    (first, expected), *others = reports.items()
    for name, report in others:
        for what in ("user", "target"):
            if not report.ranks[what].equals(expected.ranks[what]):
                raise InputError(
                    f"{name} and {first} do not speak of the same {what}s "
                    f"({report.ranks.num_rows:,} and {expected.ranks.num_rows:,} rows), so they cannot be paired",
                    "Compare reports that were made from the same corpus and split",
                )


def _require_depth(reports: Mapping[str, Report]) -> None:
    for name, report in reports.items():
        by_filter = next(iter(report.metrics["systems"].values()))
        deepest = max(int(metric.partition("@")[2]) for metric in by_filter["filtered"]["metrics"])
        if deepest < K:
            raise InputError(
                f"{name} ranks {deepest} items a user, and figures at {K} are compared",
                f"Redo its evaluation with {K} among evaluate.at",
            )


def _ranks(reports: Mapping[str, Report], systems: Sequence[str], kind: Filter) -> dict[Entry, Int32]:
    ranks: dict[Entry, Int32] = {}
    known: set[str] = set()
    for name, report in reports.items():
        for asked in systems or report.metrics["systems"]:
            system = report.aliases.get(asked, asked)
            if column(system, kind) in report.ranks.column_names:
                ranks[Entry(name, system)] = report.ranks[column(system, kind)].to_numpy().astype(np.int32)
                known.add(asked)
    unknown = [system for system in systems if system not in known]
    if unknown:
        offered = sorted({system for report in reports.values() for system in report.metrics["systems"]})
        raise SettingError(f"No report has the system '{unknown[0]}'", f"They have {', '.join(offered)}")
    if not ranks:
        raise ArtifactError("The reports hold no system", "Redo their evaluation")
    return ranks


def _heads(first: str, width: int) -> str:
    return "  ".join([f"{first:<{width}}", *(f"{metric:<{len(_figure(0, (0, 0)))}}" for metric in METRICS)]).rstrip()


def _figure(value: float, interval: tuple[float, float], sign: str = "") -> str:
    return f"{value:{sign}.4f} [{interval[0]:{sign}.4f}, {interval[1]:{sign}.4f}]"
