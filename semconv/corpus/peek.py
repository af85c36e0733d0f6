"""Opening a file, and its first record: what it must be for the rest to be worth reading."""

from __future__ import annotations

import ast
import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from semconv.corpus.diagnose import bad_encoding, bad_gzip
from semconv.corpus.layouts import Files, Format
from semconv.errors import InputError, SettingError

_GZIP = b"\x1f\x8b"


@contextmanager
def opened(path: str) -> Iterator[tuple[pa.NativeFile, Callable[[], float]]]:
    """A file's bytes, decompressed where it is gzip by its content, whatever its name; and the share of it read."""
    size = max(Path(path).stat().st_size, 1)
    with pa.OSFile(path) as raw:
        gzipped = raw.read(2) == _GZIP
        raw.seek(0)
        yield (pa.CompressedInputStream(raw, "gzip") if gzipped else raw), lambda: raw.tell() / size


def first_lines(path: Path, encoding: str) -> list[str]:
    """The first two lines that are not blank, or fewer; raises `InputError` where they cannot be read."""
    lines: list[str] = []
    try:
        with opened(str(path)) as (stream, _):
            for line in io.TextIOWrapper(stream, encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline=""):
                if line.strip():
                    lines.append(line.strip("\r\n"))
                if len(lines) == 2:
                    break
    except UnicodeError:
        raise bad_encoding(str(path), encoding) from None
    except (OSError, EOFError):
        raise bad_gzip(str(path)) from None
    except LookupError:
        raise SettingError(f"There is no character encoding {encoding}", "Change corpus.encoding") from None
    return lines


def names_in(path: Path, line: str, form: Format, way: Files, delimiter: str) -> tuple[str, ...]:
    """Column names by the file's first line; raises `InputError` where that is no record of its format."""
    if form == "jsonl" or form == "literal":
        try:
            record = json.loads(line) if form == "jsonl" else ast.literal_eval(line)
        except (ValueError, SyntaxError):
            record = None
        if not isinstance(record, dict):
            kind = "a JSON object" if form == "jsonl" else "a Python dict literal"
            raise InputError(
                f"{path}, line 1: not {kind}: {line[:60]}", "Give one object a line, or name the file by its format"
            )
        return tuple(str(name) for name in record)
    separator = "::" if form == "double_colon" else delimiter
    fields = line.split("::") if form == "double_colon" else next(csv.reader([line], delimiter=delimiter))
    if not way.header:
        return tuple(field.strip() for field in fields)
    if len(fields) != len(way.header):
        raise InputError(
            f"{path}, line 1: {len(fields)} fields separated by {separator!r} where {len(way.header)} are expected "
            f"({', '.join(way.header)})",
            "Set corpus.delimiter, or give the file as it was published",
        )
    return way.header


def parquet_names(path: Path) -> tuple[str, ...]:
    """Column names of a Parquet file that has rows; raises `InputError` where it has none or is none."""
    try:
        parquet = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}", "Copy the file again") from None
    if not parquet.metadata.num_rows:
        raise InputError(f"{path} is empty", "Give a file with at least one row")
    return tuple(parquet.schema_arrow.names)
