"""What every page is made of: one self-contained HTML file, without script, and without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from semconv.evaluation.style import STYLE

POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def document(title: str, sections: Iterable[str]) -> str:
    """A whole page of HTML ``sections``, empty ones left out; ``title`` is plain text."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(section for section in sections if section)
        + "\n</main>\n</body>\n</html>\n"
    )


def figure(caption: str, chart: str) -> str:
    """A chart under its caption, both HTML."""
    return f"<figure><figcaption>{caption}</figcaption>{chart}</figure>"


def details(title: str, facts: Sequence[tuple[str, str]]) -> str:
    """Facts in plain text, folded away under their title."""
    return f"<details><summary>{escape(title)}</summary>{facts_table(facts, code=True)}</details>"


def facts_table(facts: Sequence[tuple[str, str]], *, code: bool = False) -> str:
    """A table of names and values in plain text."""
    wrap = ("<code>", "</code>") if code else ("", "")
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{wrap[0]}{escape(value)}{wrap[1]}</td></tr>'
        for name, value in facts
    )
    return f'<div class="wide"><table class="facts"><tbody>{rows}</tbody></table></div>'
