"""Lines of JSON, of Python literals or of ``::``-separated fields, taken apart into our columns."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any

from semconv.corpus.layouts import Format


def parse_line(line: str, form: Format, names: Sequence[str]) -> Mapping[str, Any] | None:
    """The line's fields by the file's names; none when it is not a record of this format."""
    try:
        if form == "jsonl":
            record = json.loads(line)
        elif form == "literal":
            record = ast.literal_eval(line.strip())
        else:
            fields = line.rstrip("\r").split("::")
            record = dict(zip(names, fields, strict=True))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return record if isinstance(record, dict) else None
