"""Snapshots: what a snapshot store holds, and which version of it is served.

python -m pipelines.snapshots list --store STORE
python -m pipelines.snapshots publish --store STORE --snapshot runs/beauty/topk
python -m pipelines.snapshots rollback --store STORE

STORE is a folder, or a URI such as s3://bucket/path with its keys in the environment. Where an action takes a version
and none is given, it is the current one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from semconv.artifacts import SnapshotStore, TopKSnapshot
from semconv.command import CommandParser, status_of
from semconv.errors import ArtifactError

PROGRAM = "pipelines.snapshots"


def show(store: SnapshotStore, _options: argparse.Namespace) -> str:
    """Every version with its time and counts, oldest first, and which is current."""
    current = store.current()
    lines = []
    for version in store.versions():
        manifest = store.manifest(version)
        gib = sum(file["bytes"] for file in manifest.files.values()) / 2**30
        counts = f"{manifest.counts.get('users', 0):,} users  {manifest.counts.get('items', 0):,} items  {gib:.2f} GiB"
        lines.append(f"{'*' if version == current else ' '} {version}  made {manifest.created}  {counts}")
    return "\n".join(lines) or "no versions"


def publish(store: SnapshotStore, options: argparse.Namespace) -> str:
    """Copy a snapshot into the store and make it current."""
    return f"published {store.publish(TopKSnapshot.open(options.snapshot), options.keep)}"


def verify(store: SnapshotStore, options: argparse.Namespace) -> str:
    """Compare every file of a version with its digest."""
    version = store.chosen(options.version)
    store.verify(version)
    return f"{version} is what was published"


def point(store: SnapshotStore, options: argparse.Namespace) -> str:
    """Make a version current."""
    store.point(options.version)
    return f"current: {options.version}"


def rollback(store: SnapshotStore, _options: argparse.Namespace) -> str:
    """Make the version current that was so before; one that was rolled back from is not gone back to."""
    current, earlier = store.chosen(None), store.before()
    if not earlier:
        raise ArtifactError(f"No version was current before {current}", "Publish another, or point to one by its name")
    store.point(earlier[0])
    return f"current: {earlier[0]}"


def prune(store: SnapshotStore, options: argparse.Namespace) -> str:
    """Remove versions beyond the newest ones; never the current one, nor one that is being read."""
    return "\n".join(f"removed {version}" for version in store.prune(options.keep)) or "nothing to remove"


def fetch(store: SnapshotStore, options: argparse.Namespace) -> str:
    """Copy a version to a folder of this node, verified."""
    return str(store.fetch(store.chosen(options.version), options.cache))


def export(store: SnapshotStore, options: argparse.Namespace) -> str:
    """Write a version as Parquet files."""
    version = store.chosen(options.version)
    store.export(version, options.out)
    return f"exported {version} to {options.out}"


Action = Callable[[SnapshotStore, argparse.Namespace], str]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    program = CommandParser(
        prog=f"python -m {PROGRAM}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = program.add_subparsers(required=True, metavar="ACTION")

    def add(name: str, action: Action) -> argparse.ArgumentParser:
        told = actions.add_parser(name, help=action.__doc__)
        told.set_defaults(action=action)
        told.add_argument("--store", required=True, help="folder or URI of the store")
        return told

    add("list", show)
    for name, action in (("verify", verify), ("fetch", fetch), ("export", export)):
        told = add(name, action)
        told.add_argument("--version", help="a version; none: the current one")
        if name == "fetch":
            told.add_argument("--cache", type=Path, required=True, help="folder of this node that copies are kept in")
        if name == "export":
            told.add_argument("--out", type=Path, required=True, help="folder to write; what stands there is replaced")
    add("point", point).add_argument("--version", required=True, help="a published version")
    add("rollback", rollback)
    told = add("publish", publish)
    told.add_argument("--snapshot", type=Path, required=True, help="folder of a snapshot, such as runs/demo/topk")
    for taker in (told, add("prune", prune)):
        taker.add_argument("--keep", type=_positive, default=3, help="versions to keep (3)")
    return program


def run(arguments: Sequence[str]) -> str:
    """Do what the command line says; what there is to tell."""
    options = parser().parse_args(arguments)
    action: Action = options.action
    return action(SnapshotStore.open(options.store), options)


def main() -> NoReturn:
    """The command."""
    raise SystemExit(status_of(lambda: print(run(sys.argv[1:])), PROGRAM))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of 1 or more")
    return int(text)


if __name__ == "__main__":
    main()
