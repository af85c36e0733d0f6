"""The report's page in a real browser: it renders, shows every system, complains of nothing and fetches nothing."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import zlib
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from semconv.artifacts import Run
from semconv.evaluation.labels import system_label
from tests.conftest import tool

QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--v=0",
]
FETCHING = {"src", "srcset", "href", "xlink:href", "data", "poster", "action", "background"}


class Dom(HTMLParser):
    """Text, start tags and attributes of a rendered page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def browse(page: Path, profile: Path, *what: str) -> subprocess.CompletedProcess[str]:
    chromium = tool("chromium", "chromium-browser")
    arguments = [chromium, *QUIET, f"--user-data-dir={profile}", *what, page.as_uri()]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr, done.stderr
    return done


def scan_lines(png: bytes) -> tuple[int, int, list[bytes]]:
    """Width, height and the filtered scan lines of a PNG: all but the first of a blank one are the same."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    packed, at = b"", 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += 12 + length
    raw = zlib.decompress(packed)
    step, rest = divmod(len(raw), height)
    assert rest == 0
    return width, height, [raw[row * step : (row + 1) * step] for row in range(height)]


@pytest.fixture(scope="module")
def page(tiny_run: Run) -> Path:
    return (tiny_run.artifact("report") / "index.html").absolute()


def test_the_rendered_page_names_every_system_and_the_users_and_asks_nobody_for_anything(
    page: Path, tmp_path: Path
) -> None:
    metrics = json.loads((page.parent / "metrics.json").read_text())
    dom = Dom(browse(page, tmp_path, "--dump-dom").stdout)
    for system in metrics["systems"].keys() - metrics["aliases"].keys():
        assert system_label(system) in dom.texts, system
    assert dom.texts[dom.texts.index("Users tested") + 1] == f"{metrics['users']:,}"
    policies = [a["content"] for tag, a in dom.tags if a.get("http-equiv", "").lower() == "content-security-policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert not [tag for tag, _ in dom.tags if tag in ("script", "link", "iframe", "object", "embed")]
    for _, attributes in dom.tags:
        for name in FETCHING & attributes.keys():
            assert (attributes[name] or "").startswith(("#", "data:")), attributes
    assert re.findall(r"@import|url\(", unescape(page.read_text())) == []


def test_a_message_of_the_page_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\"><img src='https://127.0.0.1:9/a.png'>"
    )
    with pytest.raises(AssertionError, match="Content Security Policy"):
        browse(page, tmp_path / "profile", "--dump-dom")


def test_a_picture_of_the_page_is_not_blank(page: Path, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    browse(page, tmp_path / "profile", "--window-size=1200,1600", f"--screenshot={picture}")
    width, height, lines = scan_lines(picture.read_bytes())
    assert (width, height) == (1200, 1600)
    assert len(set(lines)) > height / 5
