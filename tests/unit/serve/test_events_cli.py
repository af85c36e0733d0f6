from __future__ import annotations

from pathlib import Path

import pytest

from semconv.corpus.later import erased_digest, read_later
from semconv.errors import InputError
from serve import events as module
from serve.events import export, main
from serve.questions import Event, ItemChange
from serve.store import FILE, EventStore, open_store


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(state: Path) -> EventStore:
    opened = open_store(state / FILE)
    opened.add_events([Event("ann", "a", 30), Event("bob", "b", 20)])
    opened.put_item(ItemChange("a", available=False))
    opened.erase("cid")
    opened.add_events([Event("ann", "c", 10)])
    return opened


def told(store: EventStore, out: Path) -> list[tuple[str, str, int]]:
    later = read_later(out)
    assert later.store == store.id
    return [tuple(row.values()) for row in later.events.to_pylist()]


def test_exports_events_in_the_order_of_acceptance(
    store: EventStore, state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "export"
    assert main(["export", "--out", str(out), "--serve.state", str(state)]) == 0
    assert "3 events through number 5" in capsys.readouterr().out
    assert told(store, out) == [("ann", "a", 30), ("bob", "b", 20), ("ann", "c", 10)]
    later = read_later(out)
    assert (later.seq, later.erased) == (5, {erased_digest(store.id, "cid")})


def test_exports_a_long_log_in_pages(store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add_events([Event("dan", f"item-{number}", number) for number in range(500)])
    monkeypatch.setattr(module, "PAGE", 2)  # files of 200 events
    assert export(store, tmp_path / "export") == (503, 505)
    assert len(list((tmp_path / "export").glob("*.parquet"))) == 3
    assert told(store, tmp_path / "export")[3:] == [("dan", f"item-{number}", number) for number in range(500)]


def test_leaves_out_what_comes_while_it_exports(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = store.changes

    def meanwhile(*arguments: int) -> object:
        store.add_events([Event("eve", "x", 1)])
        store.erase("eva")
        return changes(*arguments)

    monkeypatch.setattr(store, "changes", meanwhile)
    assert export(store, tmp_path / "export") == (3, 5)
    assert read_later(tmp_path / "export").erased == {erased_digest(store.id, "cid")}


def test_an_empty_log_is_an_export_too(tmp_path: Path) -> None:
    store = open_store(tmp_path / FILE)
    assert export(store, tmp_path / "export") == (0, 0)
    assert (read_later(tmp_path / "export").seq, told(store, tmp_path / "export")) == (0, [])


def test_replaces_an_earlier_export_and_nothing_else(store: EventStore, tmp_path: Path) -> None:
    out = tmp_path / "export"
    export(store, out)
    store.erase("ann")
    export(store, out)
    assert told(store, out) == [("bob", "b", 20)]
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("kept")
    with pytest.raises(InputError, match="no export"):
        export(store, precious)
    assert (precious / "file").read_text() == "kept"


def test_compacts(store: EventStore, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compact", "--through", "4", "--serve.state", str(state)]) == 0
    assert "2 events are removed" in capsys.readouterr().out
    assert store.events_of("ann") == [Event("ann", "c", 10)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export"], "--out"),
        (["compact"], "--through"),
        (["export", "--out", "x", "--serve.stat", "y"], "nearest known setting is 'serve.state'"),
    ],
)
def test_says_what_is_missing(
    store: EventStore, state: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--serve.state", str(state)]) == 2
    assert said in capsys.readouterr().err


def test_makes_no_log_where_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--out", str(tmp_path / "export"), "--serve.state", str(tmp_path / "absent")]) == 2
    assert "There is no event log" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
