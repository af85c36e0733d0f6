"""The pages that a newcomer follows mark what they may run, and name only targets and settings that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from semconv.cli import load_settings, setting_names
from tests.conftest import REPOSITORY
from tests.shown import follow, fresh_copy, shown_in

PAGES = ["README.md", "docs/quickstart.md", "docs/your-data.md", "docs/tutorial.md"]


def blocks(page: str) -> str:
    """The lines of all shell blocks of a page, marked or not, a line that goes on joined with the next."""
    found = re.findall(r"^```sh\n(.+?)^```$", (REPOSITORY / page).read_text(), re.MULTILINE | re.DOTALL)
    return "".join(found).replace("\\\n", "")


@pytest.mark.parametrize("page", PAGES)
def test_every_page_that_is_followed_has_marked_blocks(page: str) -> None:
    assert shown_in(REPOSITORY / page)


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_that_a_page_shows_is_one(page: str) -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make (\w+)", (REPOSITORY / page).read_text(), re.MULTILINE)) <= targets


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_that_a_block_gives_is_one(page: str) -> None:
    given = set(re.findall(r"--(\w+\.[\w.]+)", blocks(page)))
    assert given <= set(setting_names())
    for config in re.findall(r"--config (\S+)", blocks(page)):
        load_settings(["--config", str(REPOSITORY / config)])


def test_every_message_that_the_page_on_own_data_quotes_is_one_that_the_program_gives() -> None:
    files = [file for folder in ("semconv", "pipelines") for file in sorted((REPOSITORY / folder).rglob("*.py"))]
    sources = re.sub(r'"\s*\n\s*f?"', "", "\n".join(file.read_text(encoding="utf-8") for file in files))
    page = (REPOSITORY / "docs" / "your-data.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^\| `([^`]+)` \| [^|]+ \|$", page.partition("| message |")[2], re.MULTILINE)
    assert len(quoted) > 5
    for message in quoted:
        for part in message.split("..."):
            assert part.strip(" :") in sources, message


@pytest.mark.parametrize(
    "text",
    [
        "<!-- runnable -->\nmake demo\n",
        "<!-- runnable until -->\n\n```sh\nmake serve\n```\n",
        "<!-- runnable now -->\n",
    ],
)
def test_a_block_that_is_marked_in_another_way_is_refused(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(AssertionError):
        shown_in(page)


def test_blocks_are_followed_in_order_and_what_stays_ends_with_the_page(tmp_path: Path) -> None:
    page, log = tmp_path / "page.md", tmp_path / "log"
    page.write_text(
        "<!-- runnable -->\n\n```sh\necho one >order\n```\n"
        "```sh\necho never >>order\n```\n"
        "<!-- runnable until 'ready' -->\n\n```sh\ntrap 'echo ended >>order; exit 130' INT\n"
        "echo ready; while sleep 0.1; do :; done\n```\n"
        "<!-- runnable, says 'one' -->\n\n```sh\ncat order\necho two >>order\n```\n"
    )
    follow(page, tmp_path, log)
    assert (tmp_path / "order").read_text().split() == ["one", "two", "ended"]


@pytest.mark.parametrize(
    "block", ["<!-- runnable -->\n\n```sh\nfalse\n```\n", "<!-- runnable, says 'x' -->\n\n```sh\n: x\n```\n"]
)
def test_a_block_that_fails_or_says_something_else_is_an_error(block: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(block)
    with pytest.raises(AssertionError):
        follow(page, tmp_path, tmp_path / "log")


def test_make_has_nothing_to_install_in_a_fresh_copy(tmp_path: Path) -> None:
    copy = fresh_copy(tmp_path / "semconv")
    done = subprocess.run(["make", "--dry-run", "demo", "serve"], cwd=copy, capture_output=True, text=True, check=True)
    assert "install" not in done.stdout
    assert "pipelines.run" in done.stdout
    said = subprocess.run(
        [".venv/bin/python", "-c", "import semconv; print(semconv.__file__)"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(said.stdout.strip()).is_relative_to(copy)
