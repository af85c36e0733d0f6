"""Charts as inline SVG: no library, no script; colours and fonts come from the page's style sheet.

Every function returns one ``<svg>`` element whose title and description say in words what it shows. Coordinates are
in the SVG's own units; the page scales it to the width it has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

LABEL_GAP = 15.0
LETTER = 7.3
"""Width of a letter of a label, on average, in the widest of the fonts that the page may be shown in."""
LEADER = 24
"""Between a chart and the labels beside it."""
LEAST = 260
"""Width of what is drawn, at least; with long labels the chart grows."""


@dataclass(frozen=True)
class Line:
    """One labelled curve: ``points`` (x, y) by rising x; ``look`` names its style-sheet class."""

    label: str
    points: Sequence[tuple[float, float]]
    look: str


@dataclass(frozen=True)
class Dots:
    """One row of a dot chart: marks of (value, low, high, ``filled``)."""

    label: str
    marks: Sequence[tuple[float, float, float, bool]]
    look: str


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) that cover low .. high, about ``about`` of them."""
    if high <= low:
        high = low + 1.0
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def tick_text(value: float, values: Sequence[float]) -> str:
    """A tick's number with as many decimals as the finest of its axis needs, and separated thousands."""
    decimals = max(len(f"{v:.6f}".rstrip("0").split(".")[1]) for v in values)
    return f"{value:,.{decimals}f}"


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str,
    x_ticks: Sequence[float] | None = None,
    from_zero: bool = True,
    size: tuple[int, int] = (520, 320),
) -> str:
    """Curves with their names at their right ends."""
    width, height = size
    left, top, bottom = 52, 14, height - 42
    right = max(left + LEAST, width - _room(line.label for line in lines))
    width = max(width, right + _room(line.label for line in lines))
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    along = list(x_ticks) if x_ticks else ticks(min(xs), max(xs))
    up = ticks(0.0 if from_zero else min(ys), max(ys))
    low_x, high_x = min([*xs, *along]), max([*xs, *along])

    def at(x: float, y: float) -> tuple[float, float]:
        across = left + (right - left) * (x - low_x) / ((high_x - low_x) or 1)
        return across, bottom - (bottom - top) * (y - up[0]) / (up[-1] - up[0])

    parts = []
    for value in up:
        y = at(low_x, value)[1]
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text("tick", left - 8, y + 4, tick_text(value, up), "end"))
    for value in along:
        x = at(value, up[0])[0]
        parts.append(_text("tick", x, bottom + 18, tick_text(value, along), "middle"))
    parts.append(_text("axis", (left + right) / 2, height - 6, x_label, "middle"))
    ends = [at(*line.points[-1]) for line in lines]
    labels = spread([y for _, y in ends], LABEL_GAP, top + 4, bottom)
    for line, (end_x, end_y), label_y in zip(lines, ends, labels, strict=True):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in line.points))
        parts.append(f'<polyline class="curve {line.look}" points="{path}"/>')
        if len(line.points) == 1:
            parts.append(f'<circle class="mark {line.look}" cx="{end_x:.1f}" cy="{end_y:.1f}" r="3"/>')
        parts += [
            f'<path class="leader" d="M{end_x + 3:.1f} {end_y:.1f} L{right + 10} {label_y:.1f} H{right + 14}"/>',
            _text(f"name {line.look}", right + 18, label_y + 4, line.label, "start"),
        ]
    said = "; ".join(f"{line.label} ends at {line.points[-1][1]:.4g}" for line in lines)
    return _svg(title, said, width, height, parts)


def dot_chart(title: str, rows: Sequence[Dots], *, size: tuple[int, int] = (520, 0)) -> str:
    """Values with their intervals, one row a system."""
    width, step = size[0], 30
    left, top = _room(row.label for row in rows), 10
    right = max(left + LEAST, width - 20)
    width = right + 20
    height = top + step * len(rows) + 30
    along = ticks(0.0, max(high for row in rows for _, _, high, _ in row.marks))
    parts = []

    def at(value: float) -> float:
        return left + (right - left) * (value - along[0]) / (along[-1] - along[0])

    for value in along:
        x = at(value)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{height - 26}"/>')
        parts.append(_text("tick", x, height - 8, tick_text(value, along), "middle"))
    for number, row in enumerate(rows):
        y = top + step * (number + 0.5)
        parts.append(_text(f"name {row.look}", left - 12, y + 4, row.label, "end"))
        for offset, (value, low, high, filled) in zip(_offsets(len(row.marks)), row.marks, strict=True):
            line, shape = y + offset, "mark" if filled else "ring"
            parts.append(
                f'<path class="range {row.look}" d="M{at(low):.1f} {line:.1f} H{at(high):.1f}"/>'
                f'<circle class="{shape} {row.look}" cx="{at(value):.1f}" cy="{line:.1f}" r="4"/>'
            )
    said = "; ".join(f"{row.label} {', '.join(f'{value:.4f}' for value, *_ in row.marks)}" for row in rows)
    return _svg(title, said, width, height, parts)


def bar_chart(title: str, bars: Sequence[tuple[str, float, str]], *, width: int = 520) -> str:
    """Horizontal bars of (label, length, what to write at its end)."""
    left, right, step = 110, width - 80, 28
    longest = max((length for _, length, _ in bars), default=0.0) or 1.0
    parts = []
    for number, (label, length, text) in enumerate(bars):
        y = step * (number + 0.5) + 4
        long = max(1.0, (right - left) * length / longest)
        parts += [
            _text("name", left - 12, y + 4, label, "end"),
            f'<rect class="bar" x="{left}" y="{y - 6:.1f}" width="{long:.1f}" height="12" rx="1.5"/>',
            _text("tick", left + long + 8, y + 4, text, "start"),
        ]
    said = "; ".join(f"{label} {text}" for label, _, text in bars)
    return _svg(title, said, width, step * len(bars) + 8, parts)


def area_chart(
    title: str, values: Sequence[float], *, even: float, x_label: str, size: tuple[int, int] = (520, 220)
) -> str:
    """Values in the order given as steps of equal width from zero, with a line at the height ``even``."""
    width, height = size
    left, right, top, bottom = 52, width - 20, 14, height - 42
    up = ticks(0.0, max([*values, even]))
    wide = (right - left) / max(len(values), 1)

    def at(value: float) -> float:
        return bottom - (bottom - top) * value / up[-1]

    parts = []
    for value in up:
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{at(value):.1f}" y2="{at(value):.1f}"/>')
        parts.append(_text("tick", left - 8, at(value) + 4, tick_text(value, up), "end"))
    steps = "".join(f"V{at(value):.1f}H{left + wide * (place + 1):.1f}" for place, value in enumerate(values))
    parts += [
        f'<path class="bar" d="M{left} {bottom}{steps}V{bottom}Z"/>',
        f'<line class="range generative" x1="{left}" x2="{right}" y1="{at(even):.1f}" y2="{at(even):.1f}"/>',
        _text("tick", left, bottom + 18, "1", "start"),
        _text("tick", right, bottom + 18, f"{len(values):,}", "end"),
        _text("axis", (left + right) / 2, height - 6, x_label, "middle"),
    ]
    said = f"from {max(values, default=0):.4g} down to {min(values, default=0):.4g}; even would be {even:.4g}"
    return _svg(title, said, width, height, parts)


def scatter_chart(title: str, groups: Sequence[Sequence[tuple[float, float]]], *, size: int = 520) -> str:
    """Points within -1 .. 1 on both axes, each group in a colour of its own; neighbouring groups differ most."""
    reach = size / 2 - 6
    parts = []
    for number, points in enumerate(groups):
        # By the golden angle no two of the first hundreds of hues come close to one another soon.
        hue, light = number * 137.508 % 360, (42, 54, 66)[number % 3]
        dots = "".join(
            f'<circle cx="{size / 2 + x * reach:.1f}" cy="{size / 2 - y * reach:.1f}" r="2.4"/>' for x, y in points
        )
        parts.append(f'<g fill="hsl({hue:.0f} 62% {light}%)" fill-opacity="0.85">{dots}</g>')
    said = f"{sum(map(len, groups))} points in {len(groups)} colours"
    return _svg(title, said, size, size, parts)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places as near to the ``wanted`` ones as a least ``gap`` allows, within low .. high where all fit."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = [0.0] * len(wanted)
    last = low - gap
    for i in order:
        last = placed[i] = max(wanted[i], last + gap)
    ceiling = max(high, low + gap * (len(wanted) - 1))
    for i in reversed(order):
        placed[i] = min(placed[i], ceiling)
        ceiling = placed[i] - gap
    return placed


def _text(look: str, x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="{look}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _room(labels: Iterable[str]) -> int:
    return LEADER + math.ceil(LETTER * max(map(len, labels), default=0))


def _offsets(count: int) -> list[float]:
    return [8.0 * (i - (count - 1) / 2) for i in range(count)]


def _svg(title: str, said: str, width: int, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}. {escape(said)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
