"""Submitted jobs: from a clean clone to a cluster of `ray start`, on an S3 bucket and on a local disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from semconv.artifacts import Corpus, Manifest, Run, TopKSnapshot
from semconv.artifacts.store_files import StoreFiles
from tests.s3 import ENVIRONMENT, SECRET, keys, new_bucket
from tests.submitted import Jobs, clean_clone, cluster_for_jobs, wait

STAGES = ["ingest", "embed", "base", "tokenize", "examples", "align", "converge", "evaluate", "precache"]
KINDS = ["corpus", "vectors", "behaviour", "base", "tokens", "examples", "model", "blend", "report", "topk"]
BIG = 30 * 2**20
JOB = ["python", "-m", "pipelines.run", "--config", "tests/tiny.yaml"]


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def uri(s3_server: str) -> str:
    return new_bucket(s3_server, "shop/runs")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which somebody has worked: an environment, runs and a history lie in it."""
    folder = clean_clone(tmp_path_factory.mktemp("clone"))
    for name in (".venv/lib/big", "runs/demo/topk/big", ".git/objects/big", "build/big"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(bytes(BIG))
    return folder


@pytest.fixture(scope="module")
def jobs(clone: Path) -> Iterator[Jobs]:
    with cluster_for_jobs(4, ENVIRONMENT) as cluster:
        yield Jobs(cluster, clone)


@pytest.fixture(scope="module")
def stopped(jobs: Jobs, uri: str, tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """A job on the bucket, stopped amid align once it has a checkpoint; the command that goes on with it."""
    mirror = tmp_path_factory.mktemp("mirror")
    job = [*JOB, "--run.root", uri, "--run.mirror", mirror, "--align.checkpoint_every", 1]
    jobs.submit("first", *job)
    private = StoreFiles.open(uri).below("tiny/.align")

    def has_checkpoint() -> bool:
        assert Run(uri, "tiny", str(mirror)).manifest("model") is None, "it came too far"
        records = (private.read(f"{name}/checkpoint_manager_snapshot.json") for name in private.folders(""))
        return any(b"checkpoint_" in (record or b"") for record in records)

    wait(has_checkpoint)
    jobs.stop_at_once("first")
    assert jobs.ended("first")["status"] == "STOPPED"
    return job


def up_to_date(logs: str) -> list[str]:
    return [line.split()[0] for line in logs.splitlines() if line.endswith("up to date")]


def test_a_bad_setting_is_the_jobs_message_and_big_files_stay_at_home(jobs: Jobs, clone: Path) -> None:
    jobs.submit("bad", "sh", "-c", "ls -A; du -sm .; exec python -m pipelines.run --align.epoch 3")
    ended = jobs.ended("bad")
    assert (ended["status"], ended["driver_exit_code"]) == ("FAILED", 2)
    assert "pipelines.run: Unknown setting 'align.epoch'" in ended["message"]
    assert "Traceback" not in ended["message"]
    sent = ended["message"].splitlines()
    assert "pipelines" in sent
    assert {".git", ".venv", "runs", "build"}.isdisjoint(sent)
    (size,) = [int(line.split()[0]) for line in sent if line.endswith("\t.")]
    assert size * 2**20 < BIG


def test_a_relative_root_is_refused_and_an_absolute_one_holds_what_was_made(jobs: Jobs, tmp_path: Path) -> None:
    jobs.submit("relative", *JOB, "--run.until", "ingest")
    jobs.submit("local", *JOB, "--run.root", tmp_path, "--run.until", "ingest")
    relative, local = jobs.ended("relative"), jobs.ended("local")
    assert relative["driver_exit_code"] == 2
    assert "absolute path" in relative["message"].splitlines()[-1]
    assert (local["status"], local["driver_exit_code"]) == ("SUCCEEDED", 0), local["message"]
    assert Corpus.open(tmp_path / "tiny" / "corpus").n_users > 0


def test_the_command_that_stops_a_job_lets_it_keep_on_a_local_disk_what_it_has(jobs: Jobs, tmp_path: Path) -> None:
    job = [*JOB, "--run.root", tmp_path, "--run.until", "base"]
    jobs.submit("stopped", *job)
    wait(lambda: any(line.split() == ["embed", "started"] for line in jobs.logs("stopped").splitlines()))
    jobs.stop("stopped")
    assert jobs.about("stopped")["status"] == "STOPPED"
    assert jobs.logs("stopped").splitlines()[-1].startswith("pipelines.run: stopped; finished stages are kept")
    jobs.submit("resubmitted", *job)
    assert jobs.ended("resubmitted")["status"] == "SUCCEEDED", jobs.logs("resubmitted")
    assert up_to_date(jobs.logs("resubmitted")) == ["ingest"]


def test_a_stopped_job_says_so_and_publishes_nothing_half_done(
    jobs: Jobs, stopped: list[object], uri: str, tmp_path: Path
) -> None:
    assert jobs.logs("first").splitlines()[-1].startswith("pipelines.run: stopped; finished stages are kept")
    run = Run(uri, "tiny", str(tmp_path))
    assert [kind for kind in KINDS if run.manifest(kind)] == KINDS[:6]


def test_a_job_submitted_again_goes_on_and_ends_with_what_an_undisturbed_one_makes(
    jobs: Jobs, stopped: list[object], uri: str, s3_server: str, tiny_run: Run, tmp_path: Path
) -> None:
    jobs.submit("second", *stopped)
    ended = jobs.ended("second")
    logs = jobs.logs("second")
    assert (ended["status"], ended["driver_exit_code"]) == ("SUCCEEDED", 0), logs
    assert up_to_date(logs) == STAGES[:5]
    assert SECRET not in logs
    run = Run(uri, "tiny", str(tmp_path))
    made = {kind: run.manifest(kind) for kind in KINDS}
    for kind in ("corpus", "vectors", "tokens", "model", "blend", "topk"):
        manifest = made[kind]
        assert manifest is not None
        assert manifest.fingerprint == Manifest.read(tiny_run.artifact(kind)).fingerprint, kind
    logged = StoreFiles.open(uri).read("tiny/logs/align/training.jsonl")
    assert logged is not None
    assert b'"redone"' in logged, "it began afresh"
    left = {key.split("/")[3] for key in keys(s3_server, uri)}
    assert left == {*KINDS, "logs"}, "what stages keep for themselves is gone"


def test_a_machine_with_an_empty_mirror_skips_everything_and_fetches_what_is_opened(
    jobs: Jobs, stopped: list[object], uri: str, tmp_path: Path
) -> None:
    jobs.submit("third", *JOB, "--run.root", uri, "--run.mirror", tmp_path)
    ended = jobs.ended("third")
    assert ended["status"] == "SUCCEEDED", jobs.logs("third")
    assert up_to_date(jobs.logs("third")) == STAGES
    run = Run(uri, "tiny", str(tmp_path))
    assert not run.path.exists() or list(run.path.iterdir()) == []
    TopKSnapshot.open(run.artifact("topk")).verify()
    assert [path.name for path in run.path.iterdir() if not path.name.startswith(".")] == ["topk"]
