"""Whether Python and the libraries are those that are pinned. Imports the standard library alone."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from semconv.errors import ResourceError

REPOSITORY = Path(__file__).parents[1]
DRIVER = Path("/proc/driver/nvidia/version")
PYTHON = (3, 11)
SHOWN = 4


def python() -> str:
    """The interpreter's version."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] != PYTHON:
        raise ResourceError(
            f"Python is {found}, and the pinned libraries are those of 3.11",
            "Make the environment anew with it: make clean, then make setup PYTHON=/path/to/python3.11",
        )
    return found


def libraries() -> str:
    """Direct requirements are there, and whatever is there has the version that is pinned."""
    file = constraints()
    pinned = pins(file)
    absent = missing()
    others = [
        f"{name} {found} instead of {pinned[name]}"
        for name, found in sorted(installed().items())
        if name in pinned and pinned[name] != found
    ]
    wrong = [f"{name} is missing" for name in absent] + others
    if wrong:
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise ResourceError(
            f"Not as pinned in {file.name}: {', '.join(wrong[:SHOWN])}{more}",
            f"Install them: {sys.executable} -m pip install -c {file} -e '{REPOSITORY}[offline]'",
        )
    return f"as pinned in constraints/{file.name} (Ray {pinned['ray']}, torch {pinned['torch']})"


CHECKS = (("Python", python), ("libraries", libraries))


def constraints() -> Path:
    """The file for this machine: with a driver of a GPU the GPU's, unless only one came along (as in an image)."""
    wanted = "gpu.txt" if DRIVER.exists() else "cpu.txt"
    found = sorted((REPOSITORY / "constraints").glob("*.txt"), key=lambda file: file.name != wanted)
    if not found:
        raise ResourceError(f"{REPOSITORY}/constraints holds no pinned versions", "Take the whole repository")
    return found[0]


def pins(file: Path) -> dict[str, str]:
    """Pinned versions by normalised name."""
    lines = (line.partition("==") for line in file.read_text(encoding="utf-8").splitlines() if "==" in line)
    return {_plain(name): version.strip() for name, _, version in lines if not name.startswith("#")}


@cache
def installed() -> dict[str, str]:
    """Installed versions by normalised name, without the part that names a build (2.13.0+cpu)."""
    found = importlib.metadata.distributions()
    return {_plain(one.name): one.version.partition("+")[0] for one in found}


def missing() -> list[str]:
    """Direct requirements of the project that are not installed."""
    return [name for name in _required() if name not in installed()]


def _required() -> Iterator[str]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for requirement in project["dependencies"]:
        yield _plain(re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0])


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
