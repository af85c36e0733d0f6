"""Rows of a file as a stream of Arrow blocks, in the file's order and in bounded memory.

The rows of a block have a column ``line`` (int64, the record's number in the file, a header counted, blank lines
not). What else they have depends on the file: our columns, as the file has them, with ``broken`` (the text of a row
that has another number of fields, else null); or one column ``text`` (a line), for `parse_line` to take apart.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from semconv.corpus.diagnose import bad_encoding, bad_gzip
from semconv.corpus.peek import opened
from semconv.corpus.source import Source
from semconv.errors import InputError

BLOCK_BYTES = 8 * 2**20
MOST_BROKEN = 1000
"""Rows of another width that are quarantined whatever their share; beyond, a file with more of them than good rows
is not what it claims to be."""


class Block(NamedTuple):
    """Some rows, and the share of their file that has been read by their end."""

    rows: pa.Table
    share: float


def read_blocks(source: Source, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Blocks of about ``block_bytes`` of the file; raises `InputError` naming file and line where it is damaged."""
    if source.format == "csv":
        yield from _csv_blocks(source, block_bytes)
    elif source.format == "parquet":
        yield from _parquet_blocks(source)
    else:
        yield from _line_blocks(source, block_bytes)


def _csv_blocks(source: Source, block_bytes: int) -> Iterator[Block]:
    broken: list[tuple[int, str]] = []
    line = 2 if source.header else 1
    all_broken, good = 0, 0

    def keep(row: pacsv.InvalidRow) -> str:
        nonlocal all_broken
        all_broken += 1
        broken.append((row.number, row.text))
        return "error" if "\n" in row.text or all_broken > max(MOST_BROKEN, good) else "skip"

    wanted = list(dict.fromkeys(source.columns.values()))
    utf8 = source.encoding.lower().replace("_", "-") in ("utf-8", "utf8")
    try:
        with opened(source.path) as (stream, share):
            reader = pacsv.open_csv(
                stream,
                read_options=pacsv.ReadOptions(
                    block_size=block_bytes,
                    use_threads=False,
                    encoding="utf8" if utf8 else source.encoding,
                    column_names=list(source.names),
                    skip_rows=1 if source.header else 0,
                ),
                parse_options=pacsv.ParseOptions(
                    delimiter=source.delimiter, newlines_in_values=True, invalid_row_handler=keep
                ),
                convert_options=pacsv.ConvertOptions(
                    include_columns=wanted,
                    column_types={name: pa.string() for name in wanted},
                    strings_can_be_null=False,
                ),
            )
            for batch in reader:
                skipped = np.array([number for number, _ in broken], np.int64)
                numbers = np.arange(line, line + batch.num_rows + len(broken), dtype=np.int64)
                lines = np.setdiff1d(numbers, skipped, assume_unique=True)[: batch.num_rows]
                line = int(lines[-1]) + 1 if len(lines) else line
                done = [row for row in broken if row[0] < line]
                broken = broken[len(done) :]
                good += batch.num_rows
                rows = pa.table([batch[name] for name in source.columns.values()], list(source.columns))
                yield Block(_with_broken(rows, lines, done), share())
            if broken:
                empty = pa.table({name: pa.array([], pa.string()) for name in source.columns})
                yield Block(_with_broken(empty, np.zeros(0, np.int64), broken), 1.0)
    except pa.ArrowInvalid as error:
        if "UTF8" in str(error):
            raise bad_encoding(source.path, source.encoding) from None
        if "Empty CSV" in str(error):
            return
        if broken and "\n" in broken[-1][1]:
            raise InputError(
                f"{source.path}, line {broken[-1][0]}: a quote is not closed in {broken[-1][1][:60]!r}",
                "Close the quote, or write quotes inside a field twice",
            ) from None
        if all_broken > max(MOST_BROKEN, good):
            raise InputError(
                f"{source.path}, line {broken[-1][0]}: another number of fields than the {len(source.names)} expected "
                f"({', '.join(source.names)}), as in {all_broken:,} rows so far",
                "Check corpus.delimiter and the file's quoting",
            ) from None
        raise InputError(
            f"{source.path}, after line {line - 1}: cannot be read as CSV: {error}",
            "Check the file's quoting and corpus.delimiter",
        ) from None
    except UnicodeError:
        raise bad_encoding(source.path, source.encoding) from None
    except OSError:
        raise bad_gzip(source.path) from None


def _with_broken(table: pa.Table, lines: np.ndarray, broken: list[tuple[int, str]]) -> pa.Table:
    whole = table.append_column("line", pa.array(lines)).append_column("broken", pa.nulls(table.num_rows, pa.string()))
    if not broken:
        return whole
    rest = pa.table(
        {
            **{name: pa.nulls(len(broken), table.schema.field(name).type) for name in table.column_names},
            "line": pa.array([number for number, _ in broken], pa.int64()),
            "broken": pa.array([text for _, text in broken], pa.string()),
        }
    )
    return pa.concat_tables([whole, rest])


def _parquet_blocks(source: Source) -> Iterator[Block]:
    line = 1
    try:
        with pq.ParquetFile(source.path) as parquet:
            for batch in parquet.iter_batches(batch_size=2**18, columns=list(dict.fromkeys(source.columns.values()))):
                table = pa.table([batch[name] for name in source.columns.values()], list(source.columns))
                line += len(batch)
                lines = np.arange(line - len(batch), line, dtype=np.int64)
                yield Block(_with_broken(table, lines, []), (line - 1) / parquet.metadata.num_rows)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"{source.path}, row {line}: cannot be read as Parquet: {error}", "Copy the file again"
        ) from None


def _line_blocks(source: Source, block_bytes: int) -> Iterator[Block]:
    decoder = codecs.getincrementaldecoder(source.encoding)()
    line = 1
    rest = ""
    try:
        with opened(source.path) as (stream, share):
            while True:
                raw = stream.read(block_bytes)
                text = rest + decoder.decode(raw, final=not raw)
                if line == 1:
                    text = text.removeprefix(codecs.BOM_UTF8.decode())
                lines = text.split("\n")
                rest = lines.pop() if raw else ""
                numbers = np.arange(line, line + len(lines), dtype=np.int64)
                line += len(lines)
                rows = pa.table({"text": pa.array(lines, pa.string()), "line": numbers})
                blank = pc.equal(pc.utf8_trim_whitespace(rows["text"]), "")
                yield Block(rows.filter(pc.invert(blank)), share())
                if not raw:
                    return
    except UnicodeError:
        raise bad_encoding(source.path, source.encoding) from None
    except (OSError, EOFError):
        raise bad_gzip(source.path) from None
