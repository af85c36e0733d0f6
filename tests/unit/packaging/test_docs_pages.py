"""What the pages say of commands, settings and messages is so. That links hold, `make docs` tells."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from semconv.cli import setting_names

REPOSITORY = Path(__file__).parents[3]
PAGES = sorted((REPOSITORY / "docs").glob("*.md"))
OWN = ("pipelines", "serve", "semconv", "benchmarks")


def named(pages: list[object]) -> list[str]:
    """The files of a navigation, however deep."""
    return [file for page in pages for value in dict(page).values() for file in flat(value)]  # type: ignore[call-overload]


def flat(value: object) -> list[str]:
    return named(value) if isinstance(value, list) else [str(value)]


@cache
def sources() -> str:
    files = [file for folder in OWN for file in sorted((REPOSITORY / folder).rglob("*.py"))]
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(file.read_text(encoding="utf-8") for file in files))


def test_every_page_is_in_the_navigation_once() -> None:
    config = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))
    assert sorted(named(config["nav"])) == [page.name for page in PAGES]
    assert config["strict"] is True
    assert config["theme"]["font"] is False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_that_a_page_shows_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for module in set(re.findall(r"python3? -m ([\w.]+\w)", text)):
        if module.split(".")[0] in OWN and not module.endswith(".NAME"):
            file = REPOSITORY / f"{module.replace('.', '/')}.py"
            assert file.is_file() or (REPOSITORY / module.replace(".", "/") / "__main__.py").is_file(), module
    for path in re.findall(r"`((?:deploy|configs|constraints|serve)/[\w./-]+)`", text):
        assert (REPOSITORY / path).exists(), path


@pytest.mark.parametrize("page", ["cluster.md", "operations.md"])
def test_every_setting_that_a_page_names_is_one(page: str) -> None:
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    names = set(setting_names())
    sections = {name.split(".")[0] for name in names}
    found = set(re.findall(r"(?:`|--)((?:[a-z_]+\.)+[a-z_]+)", text))
    for name in found:
        if name.split(".")[0] in sections and f"{name.replace('.', '/')}.py" not in modules():
            assert name in names, name
    assert found & names


@cache
def modules() -> frozenset[str]:
    return frozenset(
        str(file.relative_to(REPOSITORY)) for folder in OWN for file in (REPOSITORY / folder).rglob("*.py")
    )


def test_every_message_that_the_runbook_quotes_is_one_that_the_program_gives() -> None:
    rows = [line for line in (REPOSITORY / "docs" / "operations.md").read_text().splitlines() if line.startswith("| ")]
    quoted = {message for row in rows for message in re.findall(r'"([^"]+)"', row.split(" | ")[0])}
    assert len(quoted) > 5
    for message in quoted:
        assert message in sources(), message
