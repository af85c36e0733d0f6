"""Errors about damaged files, found by a second, slow reading that names the line."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from semconv.errors import InputError


def bad_encoding(path: str, encoding: str) -> InputError:
    """The error for a file that does not decode, naming the first line that does not."""
    number, sample = 1, ""
    with _opened(path) as stream:
        for number, raw in enumerate(stream, start=1):  # noqa: B007  # the line it stops at is the answer
            try:
                raw.decode(encoding)
            except UnicodeError:
                sample = raw[:60].decode(encoding, errors="replace").strip()
                break
    return InputError(
        f"{path}, line {number}: not {encoding} text: {sample}",
        "Convert the file to one encoding, or name its encoding in corpus.encoding (often latin-1 or cp1252)",
    )


def bad_gzip(path: str) -> InputError:
    """The error for a gzip file that ends early or is damaged, naming the first line that cannot be read whole."""
    lines, what = 1, "it cannot be read"
    try:
        with _opened(path) as stream:
            while raw := stream.read1(2**20):
                lines += raw.count(b"\n")
    except EOFError:
        what = "the gzip file ends early"
    except (OSError, zlib.error) as error:
        what = f"the gzip file is damaged ({error})"
    return InputError(f"{path}, line {lines}: {what}", "Copy or download the file again")


@contextmanager
def _opened(path: str) -> Iterator[io.BufferedIOBase]:
    with Path(path).open("rb") as raw:
        if raw.peek(2)[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=raw) as stream:
                yield stream
        else:
            yield raw
