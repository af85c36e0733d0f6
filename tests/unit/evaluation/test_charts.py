"""Charts: labels have room and keep their distance, ticks are round."""

from __future__ import annotations

import re

import numpy as np
import pytest

from semconv.evaluation.charts import Dots, Line, dot_chart, line_chart, spread, ticks


@pytest.mark.parametrize("label", ["0.07", "Converged without LLM", "a system with quite a long name"])
def test_labels_have_room_beside_the_chart(label: str) -> None:
    widest = 7.3 * len(label)
    lines = line_chart("x", [Line(label, [(1, 0.1), (50, 0.2)], "generative")], x_label="k")
    dots = dot_chart("x", [Dots(label, [(0.1, 0.0, 0.2, True)], "generative")])
    for chart, anchor in ((lines, "start"), (dots, "end")):
        width = float(re.search(r'viewBox="0 0 (\d+)', chart)[1])
        at = float(re.search(rf'class="name[^"]*" x="([\d.]+)"[^>]*text-anchor="{anchor}"', chart)[1])
        assert at >= widest if anchor == "end" else at + widest <= width
        drawn = [float(x) for x in re.findall(r'x2="([\d.]+)"', chart)]
        assert max(drawn) <= width
        assert max(drawn) - (52 if anchor == "start" else at) >= 250


def test_labels_keep_their_distance() -> None:
    placed = spread([50.0, 51.0, 52.0, 200.0], 15.0, 0.0, 200.0)
    assert np.diff(sorted(placed)).min() >= 15.0
    assert max(placed) <= 200.0
    assert placed[3] == 200.0


def test_ticks_are_round_and_cover() -> None:
    assert ticks(0.0, 0.093) == [0.0, 0.02, 0.04, 0.06, 0.08, 0.1]
    assert ticks(5.9, 9.0)[0] <= 5.9
    assert ticks(0.0, 0.0) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
