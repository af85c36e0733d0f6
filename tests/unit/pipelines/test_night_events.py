"""A night's events: exported once, and taken again by the night that goes on with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines import night_events
from pipelines.night_events import tonights
from semconv.config import Settings
from semconv.corpus.later import write_later
from semconv.errors import InputError

STORE = "0123456789abcdef" * 2


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Folders that a service, which is not there, was asked to export into; every export is one event further."""
    asked: list[str] = []

    def export(_settings: Settings, folder: str) -> str:
        asked.append(folder)
        exported(Path(folder), len(asked))
        return "exported"

    monkeypatch.setattr(night_events, "export_events", export)
    return asked


def exported(folder: Path, seq: int) -> None:
    folder.mkdir(exist_ok=True)
    write_later(folder, [], store=STORE, seq=seq)


def settings_of(folder: Path, service: bool = True) -> Settings:
    values = {"precache": {"events": str(folder)}, "release": {"service": service}}
    return Settings.model_validate(values)


def seq(settings: Settings, then: Callable[[], None] = lambda: None) -> int:
    with tonights(settings, lambda _: None) as later:
        assert later is not None
        then()
    return later.seq


def cut_short() -> None:
    raise KeyboardInterrupt


def refused() -> None:
    raise ValueError("by the gate")


def test_each_night_asks_for_what_has_come(tmp_path: Path, exports: list[str]) -> None:
    settings = settings_of(tmp_path / "events")
    assert [seq(settings), seq(settings)] == [1, 2]
    assert exports == [str(tmp_path / "events")] * 2


def test_a_night_that_was_cut_short_goes_on_with_its_export(tmp_path: Path, exports: list[str]) -> None:
    settings = settings_of(tmp_path / "events")
    with pytest.raises(KeyboardInterrupt):
        seq(settings, cut_short)
    assert [seq(settings), seq(settings)] == [1, 2]
    assert len(exports) == 2


def test_a_night_that_ended_badly_has_ended(tmp_path: Path, exports: list[str]) -> None:
    settings = settings_of(tmp_path / "events")
    with pytest.raises(ValueError, match="gate"):
        seq(settings, refused)
    assert seq(settings) == 2


def test_without_the_service_the_folder_is_taken_as_it_is_or_refused_at_once(
    tmp_path: Path, exports: list[str]
) -> None:
    settings = settings_of(tmp_path / "events", service=False)
    with pytest.raises(InputError, match="holds no exported events"):
        seq(settings)
    exported(tmp_path / "events", 7)
    assert seq(settings) == 7
    assert exports == []


def test_without_events_there_are_none() -> None:
    with tonights(Settings(), lambda _: None) as later:
        assert later is None
