"""The doctor as a whole: what it prints, how it exits, and what it says of versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines import doctor, doctor_network, doctor_versions
from pipelines.doctor import Finding, checks_of, look, text
from semconv.cli import load_settings
from semconv.errors import ResourceError

SETTINGS = load_settings(["--corpus.reader", "synthetic"])


def fails() -> str:
    raise ResourceError("The disk is full", "Free space")


def test_every_check_is_made_whatever_the_others_find() -> None:
    found = look([("disk", fails), ("cores", lambda: "2")])
    assert found == [Finding("disk", "The disk is full", "Free space"), Finding("cores", "2")]


def test_a_person_sees_what_to_fix_under_what_is_wrong_and_how_much_there_is() -> None:
    lines = text([Finding("disk", "full", "Free space"), Finding("cores", "2"), Finding("GPU", "gone", "Look")]).split(
        "\n"
    )
    assert [line.split()[0] for line in lines] == ["FIX", "->", "ok", "FIX", "->", "2"]
    assert lines[1].strip() == "-> Free space"
    assert lines[-1] == "2 of 3 to be fixed."
    assert text([Finding("cores", "2")]).endswith("Everything is ready.")


@pytest.mark.parametrize(("bad", "status"), [(False, 0), (True, 1)])
def test_the_exit_status_tells(
    bad: bool, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "checks_of", lambda settings: [("disk", fails if bad else lambda: "room")])
    monkeypatch.setattr("sys.argv", ["doctor", "--corpus.reader", "synthetic"])
    with pytest.raises(SystemExit) as exit:
        doctor.main()
    assert exit.value.code == status
    assert ("FIX disk" in capsys.readouterr().out) == bad


def test_all_that_the_issue_names_is_looked_at() -> None:
    names = [name for name, _ in [*doctor_versions.CHECKS, *checks_of(SETTINGS)]]
    assert len(names) == len(set(names))
    wanted = {"libraries", "disk", "memory", "cores", "GPU", "ports", "run.root", "stores", "Ray's token"}
    assert wanted <= set(names)


def test_the_libraries_here_are_those_that_are_pinned() -> None:
    assert "torch 2.13.0" in doctor_versions.libraries()
    assert doctor_versions.missing() == []


def test_a_missing_and_a_wrong_library_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {name: version for name, version in doctor_versions.installed().items() if name != "deepspeed"}
    monkeypatch.setattr(doctor_versions, "installed", lambda: others | {"ray": "2.59.0"})
    with pytest.raises(ResourceError, match=r"deepspeed is missing, ray 2\.59\.0 instead of 2\.60\.0") as error:
        doctor_versions.libraries()
    assert "pip install -c" in error.value.remedy


def test_without_a_library_nothing_else_is_tried(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor_versions, "installed", dict)
    with pytest.raises(SystemExit) as exit:
        doctor.main()
    assert exit.value.code == 1
    said = capsys.readouterr().out
    assert "ray is missing" in said
    assert "run.root" not in said


def test_another_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.version_info", (3, 12, 1))
    with pytest.raises(ResourceError, match=r"Python is 3\.12\.1"):
        doctor_versions.python()


def test_a_machine_with_a_driver_is_held_against_the_gpus_constraints(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert doctor_versions.constraints().name == "cpu.txt" or doctor_versions.DRIVER.exists()
    monkeypatch.setattr(doctor_versions, "DRIVER", tmp_path)
    assert doctor_versions.constraints().name == "gpu.txt"


def test_a_taken_port_is_named() -> None:
    with doctor_network.socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        chosen = load_settings(["--serve.port", str(port), "--no-serve.haproxy"])
        with pytest.raises(ResourceError, match=rf"127\.0\.0\.1:{port} cannot be listened on"):
            doctor_network.ports(chosen)
        assert doctor_network.cluster(load_settings(["--ray.address", f"127.0.0.1:{port}"])).endswith("answers")
    assert doctor_network.ports(chosen) == f"127.0.0.1:{port} is free"
    with pytest.raises(ResourceError, match="Nothing answers"):
        doctor_network.cluster(load_settings(["--ray.address", f"127.0.0.1:{port}"]))
