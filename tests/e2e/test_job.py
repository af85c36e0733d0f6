"""The whole job by its command: it ends well, is skipped the second time, and fails in one message."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from semconv.artifacts import Manifest, Run
from semconv.config import Settings
from tests.conftest import BY_HAND
from tests.e2e.conftest import REPOSITORY, Command
from tests.kill import has_checkpoint, kill_when

STAGES = ["ingest", "embed", "base", "tokenize", "examples", "align", "converge", "evaluate", "precache"]
KINDS = ["corpus", "vectors", "behaviour", "base", "tokens", "examples", "model", "blend", "report", "topk"]


def snapshot(run: Path) -> dict[str, str]:
    """Every artifact's manifest, to see that nothing was touched."""
    return {str(file.relative_to(run)): file.read_text() for file in sorted(run.glob("*/manifest.json"))}


def one_message(done: subprocess.CompletedProcess[str]) -> str:
    """The single line of a refused command; fails on a traceback."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("pipelines.")]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture
def copied_run(tiny_run: Run, tmp_path: Path) -> Path:
    """A copy of the tiny run that a test may break."""
    return Path(shutil.copytree(tiny_run.path, tmp_path / "runs" / "tiny"))


def test_a_finished_job_is_up_to_date_and_says_so(tiny_run: Run, tiny: list[str], command: Command) -> None:
    made = {p.name for p in tiny_run.path.iterdir() if not p.name.startswith(".")}
    assert made == {*KINDS, "logs"}
    before = snapshot(tiny_run.path)
    again = command("pipelines.run", *tiny, "--run.root", tiny_run.path.parent)
    assert again.returncode == 0, again.stderr
    assert [line.split()[0] for line in again.stderr.splitlines() if line.endswith("up to date")] == STAGES
    assert snapshot(tiny_run.path) == before


def test_the_report_keeps_its_contract(tiny_run: Run, tiny_settings: Settings) -> None:
    metrics = json.loads((tiny_run.path / "report" / "metrics.json").read_text())
    assert {"users", "seed", "fingerprint", "stage_seconds", "systems"} <= metrics.keys()
    assert metrics["seed"] == tiny_settings.run.seed
    assert {"random", "popularity", "item_to_item", "sasrec", "generative_compact"} <= metrics["systems"].keys()
    for system in metrics["systems"].values():
        for scope in ("filtered", "unfiltered"):
            for name in ("recall@5", "recall@10", "recall@20", "ndcg@5", "ndcg@10", "ndcg@20"):
                low, high = system[scope]["intervals"][name]
                assert 0 <= low <= system[scope]["metrics"][name] <= high <= 1
    assert {"ingest", "embed", "base", "tokenize", "examples", "align"} <= metrics["stage_seconds"].keys()


def test_one_command_runs_one_stage(tiny: list[str], command: Command, tmp_path: Path) -> None:
    done = command("pipelines.ingest", *tiny, "--run.root", tmp_path)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in (tmp_path / "tiny").iterdir()] == ["corpus"]
    assert "Traceback" not in done.stderr


def test_a_stage_of_actors_runs_by_its_own_command(tiny: list[str], command: Command, copied_run: Path) -> None:
    before = (copied_run / "topk" / "manifest.json").read_text()
    done = command("pipelines.precache", *tiny, "--run.root", copied_run.parent, "--run.force")
    assert done.returncode == 0, done.stderr
    assert (copied_run / "topk" / "manifest.json").read_text() != before


def test_a_missing_input_is_one_message_and_touches_nothing(command: Command, copied_run: Path) -> None:
    before = snapshot(copied_run)
    done = command(
        "pipelines.run", "--run.root", copied_run.parent, "--run.name", "tiny", "--corpus.path", copied_run / "nowhere"
    )
    assert "nowhere" in one_message(done)
    assert snapshot(copied_run) == before


def test_an_unknown_setting_is_one_message(command: Command, tiny: list[str]) -> None:
    assert "align.epochs" in one_message(command("pipelines.run", *tiny, "--align.epoch", 3))


def test_a_stage_without_its_input_names_what_to_run(command: Command, tiny: list[str], tmp_path: Path) -> None:
    message = one_message(command("pipelines.tokenize_items", *tiny, "--run.root", tmp_path))
    assert "corpus" in message


def test_artifacts_of_different_lineage_are_refused_by_name(
    command: Command, tiny: list[str], copied_run: Path, tmp_path: Path
) -> None:
    other = command("pipelines.run", *tiny, "--run.root", tmp_path, "--run.seed", 5, "--run.until", "ingest")
    assert other.returncode == 0, other.stderr
    shutil.rmtree(copied_run / "corpus")
    shutil.copytree(tmp_path / "tiny" / "corpus", copied_run / "corpus")
    before = snapshot(copied_run)
    message = one_message(command("pipelines.tokenize_items", *tiny, "--run.root", copied_run.parent))
    assert all(word in message for word in ("different corpus", "vectors"))
    assert snapshot(copied_run) == before


def test_another_corpus_needs_another_run_name(command: Command, copied_run: Path, tmp_path: Path) -> None:
    from semconv.config import SyntheticSettings
    from semconv.corpus.synthetic import write_shop

    first, second = tmp_path / "first", tmp_path / "second"
    for folder, seed in ((first, 1), (second, 2)):
        folder.mkdir()
        write_shop(folder, SyntheticSettings(users=80, items=40), seed)
    arguments = ["--run.root", tmp_path / "out", "--run.name", "shop", "--corpus.path"]
    assert command("pipelines.ingest", *arguments, first).returncode == 0
    assert "--run.name" in one_message(command("pipelines.ingest", *arguments, second))


def test_a_disk_too_small_is_refused_before_the_work(command: Command, tiny: list[str], tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs rights that this user does not have")
    try:
        assert "free" in one_message(command("pipelines.run", *tiny, "--run.root", small))
        assert list(small.rglob("manifest.json")) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_ctrl_c_stops_cleanly_and_a_second_start_goes_on(tiny: list[str], command: Command, tmp_path: Path) -> None:
    arguments = [*tiny, "--run.root", str(tmp_path), "--run.until", "embed"]
    process = subprocess.Popen(
        [*BY_HAND, sys.executable, "-m", "pipelines.run", *arguments],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.startswith("embed") and "started" in line:
            break
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait(60) == 130, "".join(seen) + rest
    assert "stopped" in rest
    assert "Traceback" not in rest
    gone, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
    assert len(gone) > 0
    assert [p.name for p in (tmp_path / "tiny").iterdir() if p.name != ".embed"] == ["corpus"]
    again = command("pipelines.run", *arguments)
    assert again.returncode == 0, again.stderr
    assert "ingest     up to date" in again.stderr


def test_a_job_killed_after_a_checkpoint_of_align_ends_with_the_model_of_an_undisturbed_one(
    tiny_run: Run, tiny: list[str], command: Command, copied_run: Path, tmp_path: Path
) -> None:
    shutil.rmtree(copied_run / "model")
    private = copied_run / ".align"
    arguments = [*tiny, "--run.root", str(copied_run.parent), "--run.until", "align", "--align.checkpoint_every", "2"]
    kill_when(["pipelines.run", *arguments], lambda: has_checkpoint(private), tmp_path / "log")
    assert not (copied_run / "model").exists()
    assert has_checkpoint(private)
    again = command("pipelines.run", *arguments)
    assert again.returncode == 0, again.stderr
    assert "tokenize   up to date" in again.stderr
    resumed, undisturbed = (Manifest.read(run / "model") for run in (copied_run, tiny_run.path))
    assert resumed.fingerprint == undisturbed.fingerprint
    assert not private.exists()
