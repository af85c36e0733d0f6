"""The reference of all settings, written from the settings themselves.

python -m semconv.config.reference --out docs/configuration.md
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from semconv.command import CommandParser, status_of
from semconv.config.leaves import Section
from semconv.config.settings import Settings

HEADER = """\
# Configuration

Written by `python -m semconv.config.reference --out docs/configuration.md`; do not edit.

Every setting is a line `name: value` in its section of a YAML file, `--config FILE`, or an argument
`--section.name VALUE`, which lies over the file. A name that is not known is refused, with the nearest one that is.
Lists on the command line have commas between their members, mappings are JSON.

A setting marked **spread** says only how work is spread over processes and machines, or where things lie: artifacts do
not depend on it, and changing it redoes nothing. Any other setting decides what is computed: changing it redoes the
stages that read it, and those after them.
"""
BOUNDS = {"ge": ">= {}", "gt": "> {}", "le": "<= {}", "lt": "< {}", "min_length": "at least {} long"}


def reference() -> str:
    """The whole page, as Markdown."""
    return "\n".join([HEADER, *_pages(Settings, "")])


def _pages(section: type[Section], prefix: str) -> Iterator[str]:
    """A heading and a table for each section that has leaves, outer ones before inner ones."""
    leaves = {name: field for name, field in section.model_fields.items() if _inner(field) is None}
    if leaves:
        yield f"## {prefix}\n\n{_first_paragraph(section)}\n"
        yield "| setting | takes | default | meaning |\n|---|---|---|---|"
        yield from (_row(f"{prefix}.{name}", field) for name, field in leaves.items())
        yield ""
    for name, field in section.model_fields.items():
        inner = _inner(field)
        if inner is not None:
            yield from _pages(inner, f"{prefix}.{name}".removeprefix("."))


def _inner(field: FieldInfo) -> type[Section] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _first_paragraph(section: type[Section]) -> str:
    return " ".join((section.__doc__ or "").split("\n\n")[0].split())


def _row(name: str, field: FieldInfo) -> str:
    extra = field.json_schema_extra
    spread = " **spread**" if isinstance(extra, dict) and extra.get("operational") else ""
    taken = ", ".join([_kind(field.annotation), *_bounds(field)])
    cells = (f"`{name}`", taken, _default(field.get_default(call_default_factory=True)), f"{field.description}{spread}")
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"


def _kind(kind: Any) -> str:
    """What values a leaf takes, in words."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in inner)
    if origin in (Union, types.UnionType):
        return ", ".join(_kind(one) for one in inner if one is not type(None))
    if origin is tuple:
        return f"list of {_kind(inner[0])}"
    if origin is dict:
        return "mapping"
    if hasattr(kind, "__metadata__"):
        return _kind(inner[0])
    if isinstance(kind, type) and issubclass(kind, Section):
        leaves = ", ".join(f"`{name}` ({field.description})" for name, field in kind.model_fields.items())
        return f"mappings of {leaves}"
    return {bool: "yes or no", int: "integer", float: "number", str: "text"}[kind]


def _bounds(field: FieldInfo) -> Iterator[str]:
    """The limits of a number or a text."""
    for limit in field.metadata:
        for name, words in BOUNDS.items():
            if getattr(limit, name, None) is not None:
                yield words.format(getattr(limit, name))


def _default(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, tuple | dict):
        return f"`{json.dumps(value)}`"
    return f"`{value}`"


def write(arguments: Sequence[str] | None) -> None:
    """Do what the command line says. Raises `SettingError`."""
    parser = CommandParser(prog="python -m semconv.config.reference", description="Write the reference.")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="Markdown file to write")
    parser.parse_args(arguments).out.write_text(reference(), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return status_of(lambda: write(arguments), "semconv.config.reference")


if __name__ == "__main__":
    raise SystemExit(main())
