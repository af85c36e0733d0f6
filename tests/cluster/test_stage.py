"""Stages: skipped when nothing changed, refused when inputs disagree, and harmless when they fail."""

from __future__ import annotations

import errno
import os
import signal
import threading
from pathlib import Path

import pytest
import ray

from pipelines.cluster import remote_report
from pipelines.console import StageLine
from pipelines.room import Room
from pipelines.stage import Stage, Work, local_files, run_stages
from semconv.artifacts import Manifest, Run
from semconv.config import RunSettings, Settings, TokenizeSettings
from semconv.errors import ArtifactError, InputError, ResourceError, SemconvError, SettingError
from tests.cluster.milling import GROW, MILL, grow


def settings(root: Path, levels: int = 4, **run: object) -> Settings:
    return Settings(run=RunSettings(root=str(root), name="r", **run), tokenize=TokenizeSettings(levels=levels))


def stamps(root: Path) -> dict[str, int]:
    return {kind: (root / "r" / kind / "manifest.json").stat().st_ino for kind in ("grain", "flour")}


def test_what_is_up_to_date_is_left_alone_and_what_changed_is_redone(tmp_path: Path) -> None:
    run_stages(settings(tmp_path), [GROW, MILL])
    first = stamps(tmp_path)
    run_stages(settings(tmp_path), [GROW, MILL])
    assert stamps(tmp_path) == first
    run_stages(settings(tmp_path, levels=3), [GROW, MILL])
    assert (tmp_path / "r" / "flour" / "content").read_text() == "3 ground"
    changed = stamps(tmp_path)
    run_stages(settings(tmp_path, levels=3, seed=1), [MILL])
    assert stamps(tmp_path)["grain"] == changed["grain"]
    assert stamps(tmp_path)["flour"] != changed["flour"]


def test_a_redone_input_of_equal_content_makes_no_work(tmp_path: Path) -> None:
    run_stages(settings(tmp_path), [GROW, MILL])
    first = stamps(tmp_path)
    run_stages(settings(tmp_path, force=True), [GROW])
    run_stages(settings(tmp_path), [MILL])
    assert stamps(tmp_path)["grain"] != first["grain"]
    assert stamps(tmp_path)["flour"] == first["flour"]


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"r/grain does not exist"):
        run_stages(settings(tmp_path), [MILL])


def test_a_failing_stage_leaves_the_earlier_artifact(tmp_path: Path) -> None:
    run_stages(settings(tmp_path), [GROW])

    def fail(work: Work) -> None:
        (work.out("grain") / "content").write_text("half")
        raise InputError("the field is flooded", "Wait")

    with pytest.raises(InputError, match="flooded"):
        run_stages(settings(tmp_path, force=True), [Stage("grow", ("grain",), (), ("tokenize",), 1, fail)])
    assert (tmp_path / "r" / "grain" / "content").read_text() == "4"
    assert [p.name for p in (tmp_path / "r").iterdir()] == ["grain"]


def test_an_error_inside_a_worker_comes_back_as_its_one_message(tmp_path: Path) -> None:
    @ray.remote
    def work_elsewhere() -> None:
        raise InputError("row 7 is odd", "Mend it")

    def build(_: Work) -> None:
        ray.get(work_elsewhere.remote())

    with pytest.raises(SemconvError) as caught:
        run_stages(settings(tmp_path), [Stage("grow", ("grain",), (), (), 1, build)])
    assert str(caught.value) == "row 7 is odd. Mend it."


def test_a_killed_worker_is_explained(tmp_path: Path) -> None:
    @ray.remote(max_retries=0)
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def build(_: Work) -> None:
        ray.get(die.remote())

    with pytest.raises(ResourceError, match="worker process died"):
        run_stages(settings(tmp_path), [Stage("grow", ("grain",), (), (), 1, build)])
    assert not (tmp_path / "r" / "grain").exists()


@pytest.mark.parametrize("kind", [OSError, RuntimeError])
def test_a_disk_that_runs_full_inside_a_worker_is_named(tmp_path: Path, kind: type[Exception]) -> None:
    @ray.remote
    def write() -> None:
        raise kind(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def build(_: Work) -> None:
        ray.get(write.remote())

    with pytest.raises(ResourceError, match="ran full"):
        run_stages(settings(tmp_path), [Stage("grow", ("grain",), (), (), 1, build)])


def test_more_workers_than_cpus_are_refused_before_they_wait() -> None:
    room = Room()
    room.require_cpus("align.workers", 4, spare=0)
    with pytest.raises(ResourceError, match=r"align\.workers is 5"):
        room.require_cpus("align.workers", 5, spare=0)
    with pytest.raises(ResourceError, match="one must stay free"):
        room.require_cpus("evaluate.workers", 4)


def test_a_joined_cluster_needs_an_absolute_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://elsewhere:10001")
    with pytest.raises(SettingError, match="absolute path"):
        run_stages(Settings(run=RunSettings(root="runs")), [GROW])


def test_a_local_model_counts_by_its_content(tmp_path: Path) -> None:
    assert local_files("model", None) == local_files("model", "owner/name") == {}
    (tmp_path / "weights").write_text("one")
    first = local_files("model", str(tmp_path))
    (tmp_path / "weights").write_text("two")
    assert first.keys() == {"model"}
    assert first != local_files("model", str(tmp_path))


def test_a_stage_may_refuse_what_was_made_from_other_input(tmp_path: Path) -> None:
    def accepts(_: Run, earlier: Manifest, raw: dict[str, str]) -> None:
        if earlier.inputs["field"] != raw["field"]:
            raise ArtifactError("r was grown on another field", "Choose another --run.name")

    def stage(field: str) -> Stage:
        return Stage("grow", ("grain",), (), (), 1, grow, raw=lambda _: {"field": field}, accepts=accepts)

    run_stages(settings(tmp_path), [stage("north")])
    run_stages(settings(tmp_path), [stage("north")])
    with pytest.raises(ArtifactError, match="another field"):
        run_stages(settings(tmp_path), [stage("south")])


def test_what_workers_report_reaches_the_drivers_line() -> None:
    heard: list[tuple[float, float, str]] = []
    arrived = threading.Event()

    def hear(*word: object) -> None:
        heard.append(word)  # type: ignore[arg-type]
        arrived.set()

    @ray.remote
    def work_elsewhere(report: object) -> None:
        report(3, 4, "nearly")  # type: ignore[operator]

    with remote_report(hear) as report:
        ray.get(work_elsewhere.remote(report))
        assert arrived.wait(60)
    assert heard[-1] == (3, 4, "nearly")


def test_a_line_without_a_terminal_needs_no_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    with StageLine("grow"):
        pass
    assert "grow" in capsys.readouterr().err
