"""The web page's files, as they lie in serve/page: read once, sent as they are, allowed to load nothing else."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from serve.http import HTML, Response

FOLDER = Path(__file__).with_name("page")
TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".html": HTML,
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    b"require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Content Security Policy. Trusted types make the browser refuse text as markup, so that no title can become some."""
HEADERS = ((b"content-security-policy", POLICY), (b"referrer-policy", b"no-referrer"))


@cache
def files() -> dict[str, Response]:
    """Every path of the page, and what it answers."""
    own = sorted(file for file in FOLDER.iterdir() if file.suffix in TYPES)
    read = {f"/page/{file.name}": Response(file.read_bytes(), 200, TYPES[file.suffix], HEADERS) for file in own}
    return {"/": read.pop("/page/index.html"), **read}


def respond(path: str) -> Response | None:
    """The file at this path, ``/`` for the page itself; None where there is none."""
    return files().get(path)
