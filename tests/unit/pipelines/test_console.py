"""The stage line: live on a terminal, plain in a log."""

from __future__ import annotations

import io

import pytest

from pipelines.console import StageLine, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("seconds", "shown"), [(4.2, "4s"), (200, "3m20s"), (7500, "2h05m"), (59.7, "1m00s")])
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_a_terminal_gets_one_line_that_is_redrawn() -> None:
    stream = Terminal()
    with StageLine("embed", stream) as line:
        line(1, 4, "text")
        line(2, 4, "behaviour")
    assert stream.getvalue().count("\n") == 1
    assert "\r" in stream.getvalue()
    assert "50% behaviour" in stream.getvalue()
    assert stream.getvalue().endswith("done in 0s\n")


def test_a_log_gets_plain_lines_with_phase_changes() -> None:
    stream = io.StringIO()
    with StageLine("embed", stream) as line:
        line(0, 4, "text")
        for done in range(1, 4):
            line(done, 4, "text")
        line.say("4 items")
    lines = stream.getvalue().splitlines()
    assert lines[0].split() == ["embed", "started"]
    assert len([shown for shown in lines if "text" in shown]) == 1
    assert "4 items" in lines[-2]
    assert "\r" not in stream.getvalue()


def test_a_failed_stage_does_not_say_done() -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError, match="no"), StageLine("embed", stream):
        raise ValueError("no")
    assert "done" not in stream.getvalue()
    assert "stopped after" in stream.getvalue()


def test_the_time_left_follows_the_pace_of_the_part_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("pipelines.console.time.monotonic", lambda: now[0])
    stream = Terminal()
    with StageLine("align", stream) as line:
        for at, done, note in [
            (100.0, 60.0, "resumed"),
            (110.0, 70.0, "resumed"),
            (200.0, 1.0, "again"),
            (300.0, 51.0, "again"),
        ]:
            now[0] = at
            line(done, 101.0, note)
    shown = [part for part in stream.getvalue().split("\r") if "%" in part]
    assert "left" not in shown[0]
    assert "about 31s left" in shown[1]
    assert "left" not in shown[2]
    assert "about 1m40s left" in shown[3]


def test_a_wait_before_the_work_is_no_part_of_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("pipelines.console.time.monotonic", lambda: now[0])
    stream = Terminal()
    with StageLine("align", stream) as line:
        for at, done, total in [(1.0, 0, 0), (1200.0, 0, 0), (1210.0, 5, 100), (1220.0, 15, 100)]:
            now[0] = at
            line(done, total, "waiting" if not total else "epoch")
    assert "about 1m25s left" in stream.getvalue()
