"""Releases: corpus, tokens, model, snapshot and report under one manifest, promoted through a gate, and back.

python -m pipelines.release gate --config configs/shop.yaml                       # compares, changes nothing
python -m pipelines.release promote --config configs/shop.yaml
python -m pipelines.release promote --config configs/shop.yaml --because "a smaller model, half the price"
python -m pipelines.release rollback --config configs/shop.yaml
python -m pipelines.release list --config configs/shop.yaml

The run of the settings is the candidate. What the gate refuses is promoted only for a reason, which the manifest keeps.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from pipelines.release_gate import Weighed, run_of, weigh
from pipelines.release_service import swap
from semconv.artifacts import Run
from semconv.artifacts.release import PROMOTED, ROLLED_BACK, Release, Releases, open_releases
from semconv.cli import load_settings
from semconv.command import CommandParser, status_of
from semconv.config import Settings
from semconv.errors import ArtifactError
from semconv.evaluation.gate import text
from semconv.evaluation.gate_sides import figures_of

PROGRAM = "pipelines.release"
Say = Callable[[str], None]


def promote(settings: Settings, because: str | None = None, say: Say = print, run: Run | None = None) -> Release:
    """Make a run the current release, and have the service of the settings serve it, if ``release.service`` says so.

    ``run`` is the settings' own where none is given.

    A run that is the current release already stays it. Raises `ArtifactError` where the gate refuses it without a
    reason ``because``; `ResourceError` where the service does not take it: then the current release stays.
    """
    releases = open_releases(settings.release.store, settings.run.root)
    with releases.alone():
        weighed = weigh(run or Run.of(settings.run), releases, settings.release, settings.run.mirror)
        if weighed.current is not None and weighed.is_current:
            say(f"nothing is new since release {weighed.current.name}")
            _serve(settings, releases, weighed.current, say)
            return weighed.current
        for line in text(weighed.verdicts):
            say(line)
        _require_passed(weighed, releases, because)
        with _snapshots_as_current(releases):
            release = _made(releases, weighed, because)
            _enter(settings, releases, release, release.against, PROMOTED, because, say)
        for version in releases.prune(settings.release.keep):
            say(f"removed snapshot {version}")
        return release


def rollback(settings: Settings, to: str | None = None, because: str | None = None, say: Say = print) -> Release:
    """Go back to the release before the current one, or to the one named.

    Raises `ArtifactError` where there is none, or where its run has changed or its snapshot is gone; `ResourceError` as
    `promote`.
    """
    releases = open_releases(settings.release.store, settings.run.root)
    with releases.alone():
        return _gone_back(settings, releases, to, because, say)


def _gone_back(settings: Settings, releases: Releases, to: str | None, because: str | None, say: Say) -> Release:
    current = releases.chosen(None)
    name = to or current.against
    if name is None:
        raise ArtifactError(
            f"Release {current.name} was the first, and there is none to go back to",
            "Promote another, or name one --to",
        )
    release = releases.read(name)
    if name not in releases.entered():
        raise ArtifactError(f"Release {name} never went live", "Choose one that `list` shows to have been promoted")
    release.require(run_of(release, settings.run.mirror))
    with _snapshots_as_current(releases):
        releases.point_snapshots(release)
        _enter(settings, releases, release, current.name, ROLLED_BACK, because, say)
    return release


@contextmanager
def _snapshots_as_current(releases: Releases) -> Iterator[None]:
    """Whatever goes wrong in the block, the store's current snapshot is that of the current release afterwards."""
    try:
        yield
    except BaseException:
        current = releases.current()
        if current is not None:
            releases.point_snapshots(releases.read(current))
        raise


def _enter(
    settings: Settings,
    releases: Releases,
    release: Release,
    before: str | None,
    what: str,
    because: str | None,
    say: Say,
) -> None:
    """Change what is served, and only then which release is current; the service goes back where that goes wrong.

    ``before``: the current release, which this one was weighed against.
    """
    _serve(settings, releases, release, say)
    try:
        if releases.current() != before:
            raise ArtifactError(f"Release {releases.current()} went live meanwhile", "Do it again, beside that one")
        releases.point(release.name, what, because)
    except BaseException:
        now = releases.current()
        if now is not None and now != release.name:
            _serve(settings, releases, releases.read(now), say)
        raise
    say(f"{what}: {release.name}")


def _serve(settings: Settings, releases: Releases, release: Release, say: Say) -> None:
    if settings.release.service:
        say(swap(settings, f"{releases.where}#{release.name}"))


def _require_passed(weighed: Weighed, releases: Releases, because: str | None) -> None:
    if because:
        return
    for name in releases.gone_back_from():
        if dict(releases.read(name).artifacts) == weighed.artifacts:
            raise ArtifactError(
                f"{weighed.side.run.shown} is what release {name} was, which was rolled back",
                'Mend it, or promote it with --because "REASON", which the manifest keeps',
            )
    if weighed.refused:
        names = ", ".join(verdict.what for verdict in weighed.refused)
        raise ArtifactError(
            f"The gate refuses {weighed.side.run.shown} for {names}",
            'Mend it, or promote it with --because "REASON", which the manifest keeps',
        )


def _made(releases: Releases, weighed: Weighed, because: str | None) -> Release:
    """The release's manifest, written, and its snapshot in the store; that of an attempt that failed serves again."""
    snapshot = weighed.side.snapshot
    release = Release(
        name=releases.new_name(snapshot.fingerprint),
        run=weighed.side.run.where,
        snapshot=releases.publish(snapshot),
        artifacts=weighed.artifacts,
        figures=figures_of(weighed.found),
        verdicts=[verdict.as_json() for verdict in weighed.verdicts],
        against=None if weighed.current is None else weighed.current.name,
        because=because,
    )
    for name in set(releases.names()) - releases.entered():
        tried = releases.read(name)
        if _same_attempt(tried, release):
            return tried
    releases.add(release)
    return release


def _same_attempt(one: Release, other: Release) -> bool:
    told = ("run", "snapshot", "artifacts", "against", "because")
    return all(getattr(one, name) == getattr(other, name) for name in told)


def gate(settings: Settings, options: argparse.Namespace) -> None:
    """Compare the run with the current release; exit 2 where that refuses it. Nothing is changed."""
    releases = open_releases(settings.release.store, settings.run.root)
    weighed = weigh(Run.of(settings.run), releases, settings.release, settings.run.mirror)
    for line in text(weighed.verdicts):
        print(line)
    _require_passed(weighed, releases, options.because)


def show(settings: Settings, _options: argparse.Namespace) -> None:
    """Every release, oldest first, which is current, and every promotion and roll-back."""
    releases = open_releases(settings.release.store, settings.run.root)
    current, entered = releases.current(), releases.entered()
    for name in releases.names():
        release = releases.read(name)
        quality = "  ".join(f"{m} {release.figures['quality'][m]['value']:.4f}" for m in _headline(release))
        refused = f"  in spite of {', '.join(release.refused)}: {release.because}" if release.refused else ""
        idle = "" if name in entered else "  never went live"
        print(f"{'*' if name == current else ' '} {name}  {release.run}  {quality}{refused}{idle}")
    for change in releases.log():
        because = f"  because {change.because}" if change.because else ""
        print(f"  {change.at}  {change.what}  {change.to}  (before: {change.before or 'nothing'}){because}")


def _headline(release: Release) -> list[str]:
    return [verdict["what"] for verdict in release.verdicts if verdict["what"] in release.figures["quality"]]


def run(arguments: Sequence[str]) -> None:
    """Do what the command line says; raises `SemconvError`."""
    actions: dict[str, Callable[[Settings, argparse.Namespace], object]] = {
        "promote": lambda settings, options: promote(settings, options.because),
        "rollback": lambda settings, options: rollback(settings, options.to, options.because),
        "list": show,
        "gate": gate,
    }
    parser = CommandParser(
        prog=f"python -m {PROGRAM}",
        allow_abbrev=False,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Settings follow as ever (--config FILE, --run.name NAME, --release.store PLACE).",
    )
    parser.add_argument("action", choices=actions)
    parser.add_argument("--because", metavar="REASON", help="why, though the gate refuses it; kept in the manifest")
    parser.add_argument("--to", metavar="RELEASE", help="the release to go back to; none: the one before")
    options, settings = parser.parse_known_args(arguments)
    actions[options.action](load_settings(settings, PROGRAM), options)


def main() -> NoReturn:
    """The command."""
    raise SystemExit(status_of(lambda: run(sys.argv[1:]), PROGRAM))


if __name__ == "__main__":
    main()
