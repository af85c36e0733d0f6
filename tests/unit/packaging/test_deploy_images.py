"""The images' recipes, as far as they can be checked where no container engine runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[3]
KINDS = ("cpu", "gpu")
COMMANDS = (
    "pipelines.run",
    "pipelines.precache",
    "pipelines.doctor",
    "pipelines.prepare",
    "pipelines.nightly",
    "pipelines.release",
    "serve.app",
    "serve.ingress",
    "serve.events",
    "serve.swap",
)
"""What the clusters' files start from these images."""


def steps(kind: str) -> list[tuple[str, str]]:
    """The recipe as (instruction, rest), continued lines joined."""
    text = (REPOSITORY / "deploy" / f"Dockerfile.{kind}").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines()]


def copied(kind: str) -> list[str]:
    words = [shlex.split(rest) for name, rest in steps(kind) if name == "COPY"]
    return [word for line in words for word in line[:-1] if not word.startswith("--")]


def pinned(kind: str) -> dict[str, str]:
    """The constraints' versions by canonical name."""
    lines = (REPOSITORY / "constraints" / f"{kind}.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in found}


@pytest.mark.parametrize("kind", KINDS)
def test_every_copied_path_exists_and_is_let_through(kind: str) -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split("\n")
    assert "*" in ignored
    paths = copied(kind)
    assert {"semconv", "pipelines", "serve", "configs", f"constraints/{kind}.txt"} <= set(paths)
    for path in paths:
        assert (REPOSITORY / path).exists(), path
        assert f"!{path.split('/')[0]}" in ignored, path


def test_nothing_else_is_let_through() -> None:
    allowed = {
        line[1:]
        for line in (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    assert allowed == {path.split("/")[0] for kind in KINDS for path in copied(kind)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_version_is_the_one_in_the_constraints(kind: str) -> None:
    pins = pinned(kind)
    [base] = [rest for name, rest in steps(kind) if name == "FROM"]
    assert re.fullmatch(rf"rayproject/ray:{re.escape(pins['ray'])}-py311-(cpu|cu\d+)", base)
    named = [match for name, rest in steps(kind) if name == "RUN" for match in re.findall(r"([\w.-]+)==([\w.]+)", rest)]
    assert ("torch", pins["torch"]) in named
    for name, version in named:
        assert pins[canonicalize_name(name)] == version
    installs = [rest for name, rest in steps(kind) if name == "RUN" and "pip install" in rest]
    assert installs
    assert all(f"-c constraints/{kind}.txt" in install for install in installs)


@pytest.mark.parametrize("kind", KINDS)
def test_the_image_ends_as_a_user_without_rights_and_asks_for_a_token(kind: str) -> None:
    recipe = steps(kind)
    assert [rest for name, rest in recipe if name == "USER"][-1] == "ray"
    assert any("sed -i '/^ray /d' /etc/sudoers" in rest for name, rest in recipe if name == "RUN")
    environment = " ".join(rest for name, rest in recipe if name == "ENV")
    assert "RAY_AUTH_MODE=token" in environment
    assert "RAY_JOB_STOP_WAIT_TIME_S=60" in environment
    assert "PYTHONPATH=/opt/semconv" in environment
    assert not re.search(r"(?i)(token|key|secret|password)=(?!token\b)", environment)


@pytest.mark.parametrize("kind", KINDS)
def test_deepspeeds_piece_is_built_last_where_workers_look_for_it(kind: str) -> None:
    recipe = steps(kind)
    assert recipe[-1] == ("RUN", "python -m pipelines.prepare")
    assert any("TORCH_EXTENSIONS_DIR=/opt/semconv/" in rest for name, rest in recipe if name == "ENV")


def test_both_recipes_differ_in_their_base_and_constraints_alone() -> None:
    assert [name for name, _ in steps("cpu")] == [name for name, _ in steps("gpu")]
    same = [
        (
            first,
            re.sub(r"constraints/gpu\.txt", "constraints/cpu.txt", second).replace(
                "[offline,redis,gpu]", "[offline,redis]"
            ),
        )
        for (_, first), (_, second) in zip(steps("cpu"), steps("gpu"), strict=True)
    ]
    assert [pair for pair in same if pair[0] != pair[1]] == [
        (steps("cpu")[0][1], steps("gpu")[0][1]),
    ]


def test_what_the_images_start_can_be_imported_from_the_copied_folders_alone(tmp_path: Path) -> None:
    for path in {path.split("/")[0] for path in copied("cpu")}:
        (tmp_path / path).symlink_to(REPOSITORY / path)
    program = f"import importlib, sys; [importlib.import_module(name) for name in {COMMANDS!r}]"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=300)
