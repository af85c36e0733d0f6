"""A service that is told of releases serves the current one, or the one that is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from semconv.artifacts.release import PROMOTED, Release, Releases
from semconv.config import ServeSettings
from semconv.errors import ArtifactError
from serve.args import Args, Variants
from serve.last_good import LastGood
from serve.start import settled


def released(where: Path, *names: str) -> Releases:
    """Releases of these names, the last of them current."""
    releases = Releases(str(where))
    for name in names:
        releases.add(Release(name, f"/runs/{name}", f"/store#{name}", {}, {}))
        releases.point(name, PROMOTED, None)
    return releases


def args_of(release: str, state: Path) -> Args:
    settings = ServeSettings(release=release, snapshot="/elsewhere", state=str(state))
    return Args(run=Path("/runs/shop"), serve=settings)


def served(variants: Variants) -> tuple[str, str | None]:
    (main,) = variants.variants
    return main.run, main.snapshot


def test_the_current_release_goes_before_a_snapshot_and_another_is_named_by_its_name(tmp_path: Path) -> None:
    where = released(tmp_path, "first", "second").where
    assert served(args_of(where, tmp_path).variants) == ("/runs/second", "/store#second")
    assert served(args_of(f"{where}#first", tmp_path).variants) == ("/runs/first", "/store#first")


def test_where_releases_are_out_of_reach_what_was_served_last_is_asked_for(tmp_path: Path) -> None:
    args = args_of(str(tmp_path / "nowhere"), tmp_path / "state")
    with pytest.raises(ArtifactError, match="holds no release"):
        settled(args)
    good = args_of(released(tmp_path, "first").where, tmp_path).variants
    LastGood(args.state).write(good)
    assert settled(args) == good
