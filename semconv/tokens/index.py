"""Item codes from a file that any tokenizer may have written, mapped to the items of a corpus.

item_id,code_0,code_1,..    one line an item of the corpus, codes from 0; plain CSV, or packed as .csv.gz
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from semconv.artifacts.ragged import Int32, Int64
from semconv.errors import InputError

ID = "item_id"
_CODE = re.compile(r"code_(0|[1-9][0-9]*)", re.ASCII)
_WHOLE = r"^\s*\d{1,9}\s*$"
_MOST_CODES = 65_536
"""Codes a level that are still taken for a codebook where its size is not given."""


@dataclass(frozen=True)
class CodeIndex:
    """The codes of a catalogue: int32 (N, L), each in [0, ``codes_per_level``), in the corpus's item order."""

    name: str
    codes: Int32
    codes_per_level: int


def read_index(path: Path, item_ids: Sequence[str], codes_per_level: int | None = None) -> CodeIndex:
    """Read the codes of the items ``item_ids``, in that order; the index is named after the file.

    ``codes_per_level`` is the size of a codebook, C; none takes the highest code of the file plus one, 65,536 at most.
    Every item has to be there once, and no other. Raises `InputError` naming the line where there is one;
    where fields in quotes hold line breaks, the row instead, counted from 1.
    """
    table = _read(path)
    if not table.num_rows:
        raise InputError(f"{path} holds no item", "Give an index of the whole catalogue")
    columns = _code_columns(path, table)
    _refuse_blank_lines(path, table, columns)
    rows = _rows(path, table, item_ids)
    codes_ML = np.stack([_whole_numbers(path, table, column) for column in columns], axis=1)
    highest = int(codes_ML.max())
    most = codes_per_level or _MOST_CODES
    if highest >= most:
        row, level = np.argwhere(codes_ML >= most)[0].tolist()
        raise InputError(
            f"{_place(path, table, row)}: {columns[level]} is {codes_ML[row, level]}, outside 0 to {most - 1}",
            f"Use a run whose tokenize.codes is {highest + 1} or more, or correct the file"
            if codes_per_level and highest < _MOST_CODES
            else "Number the codes of each level from 0 on",
        )
    codes_NL = np.empty((len(item_ids), len(columns)), np.int32)
    codes_NL[rows] = codes_ML
    return CodeIndex(index_name(path), codes_NL, codes_per_level or highest + 1)


def index_name(path: Path) -> str:
    """The file's name without ``.csv`` and ``.gz``."""
    return path.name.removesuffix(".gz").removesuffix(".csv")


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise InputError(f"There is no index file {path}", "Give the path of a CSV file, plain or .gz")
    try:
        with pa.input_stream(str(path), compression="gzip" if path.suffix == ".gz" else None) as stream:
            table = csv.read_csv(
                stream,
                parse_options=csv.ParseOptions(ignore_empty_lines=False),
                convert_options=csv.ConvertOptions(default_column_type=pa.string()),
            )
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{path} cannot be read as CSV: {str(error).splitlines()[0]}",
            f"Give a file with the columns {ID}, code_0, ..",
        ) from error
    return table


def _place(path: Path, table: pa.Table, row: int) -> str:
    """The line of a row; its number among the rows, from 1, where a field that spans lines leaves no telling."""
    spans = any("\n" in name or "\r" in name for name in table.column_names) or any(
        pc.any(pc.match_substring_regex(column, "[\r\n]")).as_py() for column in table.columns
    )
    return f"{path}, row {row + 1}" if spans else f"{path}, line {row + 2}"


def _code_columns(path: Path, table: pa.Table) -> list[str]:
    """``code_0``, ``code_1``, .. as far as the file has them, at least one, none left out."""
    try:
        names: list[str] = table.column_names
    except UnicodeDecodeError as error:
        raise InputError(f"The header of {path} is not UTF-8 text", "Save the file as UTF-8") from error
    numbers = sorted(int(found[1]) for name in names if (found := _CODE.fullmatch(name)))
    if names.count(ID) != 1 or not numbers or numbers != list(range(len(numbers))):
        raise InputError(
            f"{path} has the columns {', '.join(names)}", f"Name them {ID}, code_0, code_1 and so on, none left out"
        )
    return [f"code_{number}" for number in numbers]


def _refuse_blank_lines(path: Path, table: pa.Table, columns: list[str]) -> None:
    blank = np.logical_and.reduce([pc.equal(table[name], "").to_numpy() for name in (ID, *columns)])
    if blank.any():
        raise InputError(f"{_place(path, table, int(blank.argmax()))} is blank", "Take blank lines out of the file")


def _rows(path: Path, table: pa.Table, item_ids: Sequence[str]) -> Int64:
    """The item index of every row."""
    found = table[ID]
    rows = pc.index_in(found, value_set=pa.array(item_ids, pa.string()))
    if rows.null_count:
        row = int(np.flatnonzero(rows.is_null().to_numpy())[0])
        raise InputError(
            f"{_place(path, table, row)}: the corpus has no item '{found[row]}' "
            f"({rows.null_count} of {len(found)} rows are of unknown items)",
            "Give an index of the same catalogue",
        )
    index: Int64 = rows.to_numpy().astype(np.int64)
    first = np.unique(index, return_index=True)[1]
    if len(first) < len(index):
        row = int(np.setdiff1d(np.arange(len(index)), first)[0])
        raise InputError(
            f"{_place(path, table, row)}: item '{found[row]}' comes a second time "
            f"({len(index) - len(first)} rows are of items already read)",
            "Keep one row an item",
        )
    if len(index) < len(item_ids):
        absent = np.setdiff1d(np.arange(len(item_ids)), index)
        raise InputError(
            f"{path} lacks {len(absent)} of the corpus's {len(item_ids)} items, '{item_ids[int(absent[0])]}' first",
            "Give an index of the whole catalogue",
        )
    return index


def _whole_numbers(path: Path, table: pa.Table, name: str) -> Int64:
    column = table[name]
    good = pc.fill_null(pc.match_substring_regex(column, _WHOLE), False).to_numpy()
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        raise InputError(
            f"{_place(path, table, row)}: {name} is '{column[row]}', not a whole number from 0 on",
            "Correct the file",
        )
    numbers: Int64 = pc.cast(pc.utf8_trim_whitespace(column), pa.int64()).to_numpy()
    return numbers
