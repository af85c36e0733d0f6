"""Ingest on a cluster: the same bytes as in one process, one message for bad input, earlier work left alone."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines.ingest import STAGE
from pipelines.stage import run_stages
from semconv.artifacts import Corpus
from semconv.config import CorpusSettings, RunSettings, Settings, SyntheticSettings
from semconv.corpus.build import build_corpus
from semconv.corpus.reading import clean_here, open_input
from semconv.corpus.synthetic import write_shop
from semconv.errors import ArtifactError, SemconvError

SHOP = SyntheticSettings(users=400, items=90, dirty_rows=0.02)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("input")
    write_shop(folder, SHOP, 5)
    return folder


def settings(root: Path, folder: Path | None, **corpus: Any) -> Settings:
    chosen = CorpusSettings(path=None if folder is None else str(folder), **corpus)
    return Settings(run=RunSettings(root=str(root), name="r"), corpus=chosen)


def ingested(root: Path, folder: Path | None, **corpus: Any) -> Corpus:
    run_stages(settings(root, folder, **corpus), [STAGE])
    return Corpus.open(root / "r" / "corpus")


def digests(corpus: Corpus) -> dict[str, str]:
    return {name: described["sha256"] for name, described in corpus.manifest.files.items()}


def test_the_cluster_and_one_process_write_the_same_bytes(tmp_path: Path, folder: Path) -> None:
    corpus = ingested(tmp_path, folder)
    alone = tmp_path / "alone"
    alone.mkdir()
    chosen = CorpusSettings(path=str(folder))
    source = open_input(chosen, 17)
    counts = build_corpus(
        alone,
        chosen,
        interactions=clean_here(source.interactions, source.clean_interactions),
        items=clean_here(source.items, source.clean_items),
        timed=source.timed,
    )
    assert counts == corpus.manifest.counts
    assert len(digests(corpus)) == 3
    for name in digests(corpus):
        assert (alone / name).read_bytes() == (corpus.path / name).read_bytes()


def test_many_files_are_put_together_in_the_order_of_their_names(tmp_path: Path, folder: Path) -> None:
    whole = ingested(tmp_path / "whole", folder)
    header, *rows = gzip.decompress((folder / "interactions.csv.gz").read_bytes()).splitlines(keepends=True)
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "items.jsonl.gz").write_bytes((folder / "items.jsonl.gz").read_bytes())
    size = -(-len(rows) // 7)
    for part in range(7):
        (parts / f"log-{part}.csv").write_bytes(header + b"".join(rows[part * size : (part + 1) * size]))
    split = ingested(tmp_path / "split", parts, interactions="log-*.csv")
    kept = [name for name in digests(whole) if not name.startswith("quarantine")]
    assert {name: digests(split)[name] for name in kept} == {name: digests(whole)[name] for name in kept}


def test_the_accounting_is_said_and_recorded(tmp_path: Path, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = ingested(tmp_path, folder).manifest.counts["rows"]["interactions"]
    said = capfd.readouterr().err
    assert f"interactions: {rows['rows']:,} rows in = {rows['kept']:,} kept + " in said
    assert "missing user id" in said


def test_an_unchanged_input_is_not_read_again_and_another_is_refused(
    tmp_path: Path, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = ingested(tmp_path, folder).manifest.created
    moved = tmp_path / "moved"
    write_shop(moved, SHOP, 5)
    assert ingested(tmp_path, moved).manifest.created == before
    assert "up to date" in capfd.readouterr().err
    write_shop(moved, SHOP, 6)
    with pytest.raises(ArtifactError, match=r"/r was made from another corpus.*--run\.name"):
        ingested(tmp_path, moved)
    with pytest.raises(ArtifactError, match="another corpus"):
        ingested(tmp_path, None, reader="synthetic")
    assert Corpus.open(tmp_path / "r" / "corpus").manifest.created == before


def test_other_settings_on_the_same_input_redo_the_corpus(tmp_path: Path, folder: Path) -> None:
    assert ingested(tmp_path, folder, k_core=0).n_users > ingested(tmp_path, folder, k_core=8).n_users


def test_damage_found_by_a_worker_is_one_message(tmp_path: Path, folder: Path) -> None:
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    (spoilt / "items.jsonl.gz").write_bytes((folder / "items.jsonl.gz").read_bytes())
    packed = (folder / "interactions.csv.gz").read_bytes()
    (spoilt / "interactions.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(SemconvError, match=r"interactions\.csv\.gz, line \d+: the gzip file ends early") as caught:
        ingested(tmp_path, spoilt)
    assert "Copy or download the file again" in str(caught.value)
    assert not (tmp_path / "r" / "corpus").exists()


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines.ingest", "--run.root", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "corpus.path is not set" in ended.stderr
