"""What the project installs, pins and ships."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[3]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
CONSTRAINTS = sorted((REPOSITORY / "constraints").glob("*.txt"))


def pins(file: Path) -> dict[str, str]:
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    requirements = [Requirement(line) for line in lines]
    return {canonicalize_name(r.name): str(r.specifier) for r in requirements}


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [REPOSITORY / name for name in listed.stdout.splitlines() if (REPOSITORY / name).is_file()]


def test_there_is_a_constraints_file_for_cpu_and_one_for_gpu() -> None:
    assert [file.stem for file in CONSTRAINTS] == ["cpu", "gpu"]


@pytest.mark.parametrize("file", CONSTRAINTS, ids=lambda file: file.stem)
def test_every_direct_requirement_is_pinned_exactly_and_fits(file: Path) -> None:
    extras = PROJECT["optional-dependencies"]
    wanted = [
        *PROJECT["dependencies"],
        *extras["offline"],
        *extras["dev"],
        *(extras["gpu"] if file.stem == "gpu" else []),
    ]
    pinned = pins(file)
    assert all(re.fullmatch(r"==[\w.]+", version) for version in pinned.values())
    for requirement in map(Requirement, wanted):
        version = pinned[canonicalize_name(requirement.name)].removeprefix("==")
        assert requirement.specifier.contains(version), requirement


def test_what_is_installed_here_is_what_is_pinned() -> None:
    pinned = pins(REPOSITORY / "constraints" / "cpu.txt")
    strays = {}
    for distribution in importlib.metadata.distributions():
        name = canonicalize_name(distribution.name)
        version = distribution.version.split("+")[0]
        if name in pinned and pinned[name] != f"=={version}":
            strays[name] = version
    assert strays == {}
    assert pinned["torch"] == "==2.13.0"


def test_only_the_library_is_installed_as_a_package() -> None:
    names = importlib.metadata.distribution("semconv").read_text("top_level.txt")
    assert names is not None
    assert names.split() == ["semconv"]
    assert PROJECT["license"] == "Apache-2.0"
    assert (REPOSITORY / "LICENSE").read_text().strip().startswith("Apache License")


def test_the_library_can_be_imported_without_ray() -> None:
    program = (
        "import sys, pkgutil, importlib, semconv\n"
        "names = [m.name for m in pkgutil.walk_packages(semconv.__path__, 'semconv.')]\n"
        "[importlib.import_module(name) for name in names]\n"
        "assert len(names) > 20 and 'ray' not in sys.modules, sorted(m for m in sys.modules if m.startswith('ray'))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=REPOSITORY)


def test_nothing_tracked_names_a_registry_or_a_persons_folder() -> None:
    registry = re.compile(r"--(extra-)?index[-]url|--find[-]links|--registr[y]\b")
    home = re.compile(r"/(home|root|Users)/\w+")
    found = []
    for file in tracked("*.py", "*.md", "*.yaml", "*.toml", "*.txt", "Makefile", ".ci/run"):
        text = file.read_text(encoding="utf-8")
        found += [file.name for pattern in (registry, home) if pattern.search(text)]
    assert found == []
