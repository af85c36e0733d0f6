"""The run that is precached and served: one that is given, or a small shop made for the occasion."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness import Results
from semconv.artifacts import Run, TopKSnapshot
from semconv.config import Settings

REPOSITORY = Path(__file__).parents[1]
CONFIG, QUICK_CONFIG = REPOSITORY / "configs" / "demo.yaml", REPOSITORY / "tests" / "tiny.yaml"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options ``--run`` and ``--scratch``."""
    parser.add_argument(
        "--run", type=Path, help="folder of a finished run; none makes the demo's shop (quick: a tiny one)"
    )
    parser.add_argument("--scratch", type=Path, help="where the temporary folder is made")


def run_of(options: argparse.Namespace, scratch: Path) -> Run:
    """The run that is given, or a new one in ``scratch``, made by the pipelines themselves."""
    if options.run is not None:
        given = options.run.absolute()
        return Run(str(given.parent), given.name)
    config = QUICK_CONFIG if options.quick else CONFIG
    chosen = ["--config", str(config), "--run.root", str(scratch), "--run.name", "shop"]
    subprocess.run([sys.executable, "-m", "pipelines.run", *chosen], cwd=REPOSITORY, check=True)
    return Run(str(scratch), "shop")


def settings_of(run: Run, sections: Mapping[str, Results]) -> Settings:
    """The settings that the run's snapshot was made with, those of ``sections`` over them.

    Raises `ArtifactError` for a run without a snapshot.
    """
    made = TopKSnapshot.open(run.artifact(TopKSnapshot.kind)).manifest.settings
    tree: dict[str, Any] = {
        "run": {"root": str(run.path.parent), "name": run.path.name, "seed": made["seed"]},
        "recommend": made["recommend"],
        "precache": made["precache"],
        "evaluate": {"at": [made["precache"]["k"]]},  # or a longer list might be asked for than was searched for
    }
    for name, section in sections.items():
        tree[name] = tree.get(name, {}) | section
    return Settings.model_validate(tree)


def linked(run: Run, root: Path) -> Run:
    """The run's artifacts but for its snapshot, under another root, where a new snapshot does no harm."""
    copy = Run(str(root), run.path.name)
    copy.path.mkdir(parents=True)
    for artifact in run.path.iterdir():
        if artifact.name != TopKSnapshot.kind and not artifact.name.startswith(".") and artifact.name != "logs":
            (copy.path / artifact.name).symlink_to(artifact.absolute())
    return copy
