"""The command that lists, publishes, checks, rolls back, prunes, fetches and exports."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipelines.snapshots import main, run
from semconv.artifacts import TopKSnapshot
from semconv.errors import ArtifactError, SettingError


def test_a_store_from_its_first_version_to_a_roll_back(snapshot: TopKSnapshot, where: Path, tmp_path: Path) -> None:
    def say(action: str, *arguments: object) -> str:
        return run([action, "--store", str(where), *map(str, arguments)])

    assert say("list") == "no versions"
    first, second, third = (say("publish", "--snapshot", snapshot.path).removeprefix("published ") for _ in range(3))
    lines = say("list").splitlines()
    assert [line.split()[0 if line[0] == " " else 1] for line in lines] == [first, second, third]
    assert [line[0] for line in lines] == [" ", " ", "*"]
    assert re.search(r"made 20..-.*Z  20 users  5 items  0\.00 GiB", lines[0])
    assert say("verify") == f"{third} is what was published"
    assert say("rollback") == f"current: {second}"
    assert say("rollback") == f"current: {first}"
    with pytest.raises(ArtifactError, match="No version was current before"):
        say("rollback")
    assert say("point", "--version", second) == f"current: {second}"
    assert say("prune", "--keep", 1) == f"removed {first}"
    assert say("prune", "--keep", 1) == "nothing to remove"
    assert say("fetch", "--cache", tmp_path / "cache") == str(tmp_path / "cache" / second)
    assert say("export", "--version", third, "--out", tmp_path / "out") == f"exported {third} to {tmp_path / 'out'}"
    assert (tmp_path / "out" / "items.parquet").is_file()


def test_a_roll_back_never_goes_to_a_version_that_was_rolled_back_from(snapshot: TopKSnapshot, where: Path) -> None:
    def say(action: str, *arguments: object) -> str:
        return run([action, "--store", str(where), *map(str, arguments)])

    good, bad = (say("publish", "--snapshot", snapshot.path).removeprefix("published ") for _ in range(2))
    assert say("rollback") == f"current: {good}"
    say("publish", "--snapshot", snapshot.path)
    assert say("rollback") == f"current: {good}"
    assert say("point", "--version", bad) == f"current: {bad}"
    assert say("rollback") == f"current: {good}"


def test_an_error_is_one_message(
    where: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["snapshots", "verify", "--store", str(where)])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert capsys.readouterr().err == f"pipelines.snapshots: The store {where} holds no snapshot. Publish one.\n"


@pytest.mark.parametrize("keep", ["0", "-1", "many"])
def test_keeping_nothing_is_refused(where: Path, keep: str) -> None:
    with pytest.raises(SettingError, match="no number of 1 or more"):
        run(["prune", "--store", str(where), "--keep", keep])
