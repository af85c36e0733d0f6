"""Releases: written once, pointed to last, gone back to, and never taken for what they no longer are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from semconv.artifacts import Run, TopKSnapshot, finish, staging
from semconv.artifacts.release import KINDS, PROMOTED, ROLLED_BACK, Release, Releases, fingerprints, located_release
from semconv.errors import ArtifactError, ResourceError
from tests.unit.artifacts.shop_snapshot import USERS, write_snapshot


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(str(tmp_path / "releases"))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run whose artifacts hold one file each."""
    made = Run(str(tmp_path), "shop")
    for kind in KINDS:
        make(made, kind, "first")
    return made


def make(run: Run, kind: str, content: str) -> None:
    with staging(run.artifact(kind)) as folder:
        (folder / "file").write_text(content)
        finish(folder, kind, settings={}, inputs={}, counts={}, request="asked", seconds=0)


def release_of(releases: Releases, run: Run, snapshot: TopKSnapshot, **more: object) -> Release:
    release = Release(
        name=releases.new_name(snapshot.fingerprint),
        run=str(run.path),
        snapshot=releases.publish(snapshot),
        artifacts={**fingerprints(run), "topk": snapshot.fingerprint},
        figures={"quality": {}},
        **more,  # type: ignore[arg-type]
    )
    releases.add(release)
    return release


def test_a_release_reads_as_it_was_written_and_names_sort_by_age(
    releases: Releases, run: Run, snapshot: TopKSnapshot
) -> None:
    made = [release_of(releases, run, snapshot, because="a test") for _ in range(3)]
    assert releases.names() == [release.name for release in made]
    assert [releases.read(release.name) for release in made] == made
    assert releases.current() is None
    assert len(releases.snapshots.versions()) == 1, "one snapshot is stored once"


def test_a_manifest_is_never_written_over(releases: Releases, run: Run, snapshot: TopKSnapshot) -> None:
    release = release_of(releases, run, snapshot)
    with pytest.raises(ArtifactError, match="already"):
        releases.add(replace(release, because="another reason"))
    assert releases.read(release.name) == release


def test_current_is_what_was_pointed_to_last_and_the_log_tells_how_it_came_to_it(
    releases: Releases, run: Run, snapshot: TopKSnapshot
) -> None:
    first, second = (release_of(releases, run, snapshot) for _ in range(2))
    releases.point(first.name, PROMOTED, None)
    releases.point(second.name, PROMOTED, "better")
    releases.point(first.name, ROLLED_BACK, "not so")
    assert releases.current() == first.name
    told = [(change.what, change.to, change.before, change.because) for change in releases.log()]
    assert told == [
        (PROMOTED, first.name, None, None),
        (PROMOTED, second.name, first.name, "better"),
        (ROLLED_BACK, first.name, second.name, "not so"),
    ]


def test_a_setting_names_the_current_release_or_one_of_them(
    releases: Releases, run: Run, snapshot: TopKSnapshot
) -> None:
    with pytest.raises(ArtifactError, match="holds no release"):
        located_release(releases.where)
    first, second = (release_of(releases, run, snapshot) for _ in range(2))
    releases.point(second.name, PROMOTED, None)
    assert located_release(releases.where) == second
    assert located_release(f"{releases.where}#{first.name}") == first
    for wrong in ("nobody", "../CURRENT"):
        with pytest.raises(ArtifactError, match="has no release"):
            releases.read(wrong)


def test_a_run_that_was_made_anew_is_no_longer_what_was_released(
    releases: Releases, run: Run, snapshot: TopKSnapshot
) -> None:
    release = release_of(releases, run, snapshot)
    release.require(run)
    make(run, "model", "second")
    with pytest.raises(ArtifactError, match=r"model in .* is no longer what release"):
        release.require(run)


def test_pruning_spares_the_current_snapshot_however_old_it_is(
    releases: Releases, run: Run, snapshot: TopKSnapshot, tmp_path: Path
) -> None:
    first = release_of(releases, run, snapshot)
    others = [
        release_of(releases, run, write_snapshot(tmp_path / f"topk{number}", USERS[:number])) for number in (5, 6, 7)
    ]
    releases.point_snapshots(first)
    assert len(releases.prune(1)) == 2
    releases.point_snapshots(first)
    releases.point_snapshots(others[-1])
    with pytest.raises(ArtifactError, match="has no version"):
        releases.point_snapshots(others[0])


def test_a_damaged_manifest_is_refused_by_name(releases: Releases, run: Run, snapshot: TopKSnapshot) -> None:
    release = release_of(releases, run, snapshot)
    file = Path(releases.where) / "manifests" / f"{release.name}.json"
    for content in ("{", "{}", file.read_text().replace('"layout": 1', '"layout": 2')):
        file.write_text(content)
        with pytest.raises(ArtifactError, match=rf"{release.name}\.json cannot be read"):
            releases.read(release.name)


def test_what_was_gone_back_from_is_known_until_it_is_promoted_again(
    releases: Releases, run: Run, snapshot: TopKSnapshot
) -> None:
    first, second, third = (release_of(releases, run, snapshot) for _ in range(3))
    assert releases.entered() == set()
    releases.point(first.name, PROMOTED, None)
    releases.point(second.name, PROMOTED, None)
    releases.point(first.name, ROLLED_BACK, None)
    assert releases.entered() == {first.name, second.name}, third
    assert releases.gone_back_from() == {second.name}
    releases.point(second.name, PROMOTED, "it was the weather")
    assert releases.gone_back_from() == set()


def test_two_cannot_change_releases_at_once(releases: Releases) -> None:
    with (
        releases.alone(),
        pytest.raises(ResourceError, match=r"Another promotion or roll-back of .* is going on"),
        Releases(releases.where).alone(),
    ):
        raise AssertionError("there were two")
    with releases.alone():
        pass  # the first has let go
