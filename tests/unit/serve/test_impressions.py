from __future__ import annotations

import logging
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from semconv.errors import ResourceError
from serve import impressions as module
from serve.impressions import SCHEMA, Impressions
from serve.questions import Answer

VERSIONS = {"snapshot": "s1", "model": "m1", "variant": "main"}
ITEMS = [{"item_id": "a", "title": "Soap", "score": -0.5}, {"item_id": "b", "title": None, "score": -1.0}]


def answer(**changes: object) -> Answer:
    return Answer(**({"rung": "cache", "items": ITEMS, "versions": VERSIONS} | changes))


def test_writes_a_row_for_each_item_shown(tmp_path: Path) -> None:
    log = Impressions(tmp_path, log_ids=True)
    log.add("ann", answer())
    log.add("bob", answer(rung="popular", items=ITEMS[1:], versions=VERSIONS | {"model": None, "variant": "new"}))
    log.close()
    table = pq.read_table(tmp_path)
    assert table.schema.equals(SCHEMA)
    rows = table.to_pylist()
    times = [row.pop("time") for row in rows]
    assert all(timedelta(0) <= datetime.now(UTC) - time < timedelta(minutes=5) for time in times)
    shown = {"user": "ann", "variant": "main", "source": "cache", "snapshot": "s1", "model": "m1"}
    other = {"user": "bob", "variant": "new", "source": "popular", "snapshot": "s1", "model": None}
    assert rows == [
        shown | {"position": 1, "item_id": "a", "score": -0.5},
        shown | {"position": 2, "item_id": "b", "score": -1.0},
        other | {"position": 1, "item_id": "b", "score": -1.0},
    ]
    assert log.lost == 0


def test_users_are_the_same_pseudonym_to_all_processes_of_a_folder(tmp_path: Path) -> None:
    for folder in ("one", "one", "other"):
        log = Impressions(tmp_path / folder)
        log.add("ann", answer())
        log.add("bob", answer())
        log.close()
    one, other = ([row["user"] for row in pq.read_table(tmp_path / name).to_pylist()] for name in ("one", "other"))
    assert len(set(one)) == 2
    assert set(one).isdisjoint(other)
    assert not {"ann", "bob"} & set(one)
    assert stat.S_IMODE((tmp_path / "one" / ".key").stat().st_mode) == 0o600


def test_threads_that_start_at_once_agree_on_the_secret(tmp_path: Path) -> None:
    secrets: list[bytes] = []
    threads = [threading.Thread(target=lambda: secrets.append(module._secret(tmp_path / ".key"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(secrets) == 8
    assert len(set(secrets)) == 1
    assert [file.name for file in tmp_path.iterdir()] == [".key"]


def test_nothing_is_lost_that_comes_while_a_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH_S", 0.001)
    log = Impressions(tmp_path, log_ids=True)
    for number in range(3_000):
        log.add(f"user-{number}", answer(items=ITEMS[:1]))
    log.close()
    assert sorted(row["user"] for row in pq.read_table(tmp_path, columns=["user"]).to_pylist()) == sorted(
        f"user-{number}" for number in range(3_000)
    )


def test_a_full_buffer_costs_impressions_and_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUFFERED", 10)
    began, go_on = threading.Event(), threading.Event()
    write = Impressions._write

    def slow(self: Impressions, shown: list) -> None:
        began.set()
        assert go_on.wait(30)
        write(self, shown)

    monkeypatch.setattr(Impressions, "_write", slow)
    log = Impressions(tmp_path, log_ids=True)
    for number in range(5):
        log.add(f"user-{number}", answer())
    assert began.wait(30)  # half of the buffer is there to be written
    for number in range(5, 20):
        log.add(f"user-{number}", answer())
    assert log.lost == 5
    go_on.set()
    log.close()
    users = [row["user"] for row in pq.read_table(tmp_path).to_pylist()]
    assert users == [f"user-{number}" for number in range(15) for _ in ITEMS]


def test_a_disk_that_fails_costs_impressions_and_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    log = Impressions(tmp_path, log_ids=True)
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(module.pq, "write_table", full)
        log.add("ann", answer())
        log._flush()
    assert (log.lost, "impressions of 1 answers are lost" in caplog.text) == (1, True)
    log.add("bob", answer())
    log.close()
    assert {row["user"] for row in pq.read_table(tmp_path).to_pylist()} == {"bob"}


def test_a_folder_that_cannot_be_made_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match=r"impression log.*serve\.state"):
        Impressions(tmp_path / "file" / "impressions")
