"""Progress of several pieces of work as one."""

from __future__ import annotations

from semconv.progress import Together


def test_pieces_that_go_on_side_by_side_are_one_report() -> None:
    told: list[tuple[float, float, str]] = []
    together = Together(lambda done, total, note="": told.append((done, total, note)), ["sasrec", "dccf"])
    together(1, 4, "sasrec epoch 1")
    together(5, 10, "dccf epoch 3")
    together(2, 4, "sasrec epoch 2")
    together(1, 1, "something else")
    assert [(done, total) for done, total, _ in told] == [(0.25, 2), (0.75, 2), (1.0, 2), (1.0, 2)]
    assert told[1][2] == "dccf epoch 3"
