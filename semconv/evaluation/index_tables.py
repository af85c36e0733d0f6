"""Figures of code indexes in rows, one index a column, and the Markdown report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from semconv.tokens.index_report import IndexReport


@dataclass(frozen=True)
class Row:
    """A figure of every index, None where one has none; ``better`` says which way, if either is better in itself."""

    label: str
    values: tuple[float | None, ...]
    better: int = 0
    decimals: int = 4

    def text(self, place: int) -> str:
        """The figure of the index at ``place``."""
        value = self.values[place]
        return "" if value is None else f"{value:,.{self.decimals}f}"

    def is_best(self, place: int) -> bool:
        """Whether no index has a better figure; never so where there is nothing to compare."""
        known = [value for value in self.values if value is not None]
        if not self.better or len(set(known)) < 2 or self.values[place] is None:
            return False
        return self.values[place] == (max(known) if self.better > 0 else min(known))


NOTES = {
    "Collisions and load": "An even level of C codes has usage 1 and perplexity C.",
    "Neighbourhoods": "Share of an item's ten nearest neighbours by cosine that are among the ten nearest in codes. By "
    "prefixes: the longest common prefix, ties averaged over. By codes: ties by the distance between what the codes "
    "stand for, each code standing for the mean of what is left of its items; these points are fitted, for every index "
    "alike, in the space that is asked about. Both spaces are the run's own vectors, which other indexes were not "
    "fitted on.",
    "The next item": "Bits, on the step from the last training item to the validation item, by smoothed counts of "
    "training steps. Entropy falls as codes are lumped together. Information is what the current prefix tells of the "
    "next one, as far as the counts can show it: fewer, larger codes are easier to predict, so read it, and the bits "
    "that name the next item, beside the perplexity of the first level.",
    "Categories": "Chance that another item of the same prefix has the same rarest category, over items that have such "
    "another; their share is in the row below. Empty where no item has another.",
    "Error": "Squared distance to the mean of the items with the same prefix, over that to the mean of all. Later "
    "lengths fall by themselves as prefixes come to have one item each, so no index is best there.",
}
"""What each group of rows means, in plain text."""


def sections(reports: Sequence[IndexReport]) -> dict[str, list[Row]]:
    """All rows in groups by name; levels or spaces that only some indexes have are empty for the others."""
    return {
        "Collisions and load": _load(reports),
        "Neighbourhoods": _neighbours(reports),
        "The next item": _next(reports),
        "Categories": _categories(reports),
        "Error": _errors(reports),
    }


def _load(reports: Sequence[IndexReport]) -> list[Row]:
    figures = [report.figures for report in reports]
    rows = [
        Row("unique tuples", tuple(f["unique_tuples"] for f in figures), 1, 0),
        Row("collision rate", tuple(f["collision_rate"] for f in figures), -1),
    ]
    levels = max(f["levels"] for f in figures)
    for name, key, decimals in (("usage", "usage", 3), ("perplexity", "perplexity", 1), ("largest code", "largest", 4)):
        better = -1 if key == "largest" else 1
        for level in range(levels):
            values = tuple(f[key][level] if level < f["levels"] else None for f in figures)
            rows.append(Row(f"{name}, level {level + 1}", values, better, decimals))
    return rows


def _neighbours(reports: Sequence[IndexReport]) -> list[Row]:
    return [
        Row(f"{space}, by {way}", tuple(_of(report.figures["neighbours"].get(space), way) for report in reports), 1)
        for space in reports[0].figures["neighbours"]
        for way in ("prefixes", "codes")
    ]


def _next(reports: Sequence[IndexReport]) -> list[Row]:
    kinds = (
        ("entropy", "entropy given the current prefix", 0),
        ("marginal_entropy", "entropy without it", 0),
        ("information", "information", 1),
        ("normalised", "information over entropy without it", 1),
        ("item_bits", "bits to name the item", -1),
    )
    return [
        Row(
            f"{'first code' if length == '1' else f'first {length} codes'}: {label}",
            tuple(_of(report.figures["next_prefix"][length], key) for report in reports),
            better,
            3,
        )
        for length in reports[0].figures["next_prefix"]
        for key, label, better in kinds
    ]


def _categories(reports: Sequence[IndexReport]) -> list[Row]:
    rows = []
    for length in range(max(report.figures["levels"] for report in reports) + 1):
        for key, label in (("chance", "purity"), ("asked", "share asked")):
            values = [
                found[length][key] if (found := report.figures["purity"]) and length < len(found) else None
                for report in reports
            ]
            rows.append(Row(f"{_length(length)}: {label}", tuple(values), int(key == "chance"), 3))
    return rows


def _errors(reports: Sequence[IndexReport]) -> list[Row]:
    rows = []
    for space in reports[0].figures["prefix_error"]:
        for length in range(max(report.figures["levels"] for report in reports)):
            values = [report.figures["prefix_error"][space][length : length + 1] for report in reports]
            label = f"{space}, {_length(length + 1)}"
            rows.append(Row(label, tuple(value[0] if value else None for value in values), -(length == 0)))
    own = [report.figures["quantizer"] for report in reports]
    if any(own):
        for key, label in (("error", "own quantizer"), ("error_before", "own quantizer, before collisions")):
            rows.append(Row(label, tuple(_of(found, key) for found in own)))
    return rows


def _length(length: int) -> str:
    return "no prefix" if length == 0 else f"{length} code{'s' if length > 1 else ''}"


def _of(found: dict[str, float] | None, key: str) -> float | None:
    return None if found is None else found[key]


def markdown(title: str, reports: Sequence[IndexReport]) -> str:
    """The Markdown report: one table a group of figures, then examples of items by prefix."""
    lines = [f"# {title}", "", f"{reports[0].figures['items']:,} items. Bold: best of the row."]
    for name, rows in sections(reports).items():
        lines += ["", f"## {name}", "", NOTES[name], ""]
        lines += [f"| | {' | '.join(f'`{r.name}`' for r in reports)} |", "|---|" + "---:|" * len(reports)]
        for row in rows:
            cells = [
                f"**{row.text(place)}**" if row.is_best(place) else row.text(place) for place in range(len(reports))
            ]
            lines.append(f"| {row.label} | {' | '.join(cells)} |")
    for report in reports:
        lines += ["", f"## Items of `{report.name}`"]
        for example in report.examples:
            lines += ["", f"First code {example.code}, {example.size:,} items:", ""]
            lines += [f"- `{'-'.join(map(str, codes))}` {_plain(shown)}" for codes, shown in example.items]
    return "\n".join([*lines, ""])


def _plain(text: str) -> str:
    """A title as Markdown shows it literally, on one line."""
    escaped = "".join(f"\\{c}" if c in r"\`*_{}[]<>#|!&" else c for c in text)
    return " ".join(escaped.split())
