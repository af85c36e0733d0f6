"""Codes from a file: in the corpus's order, or one error that names the line, or the row."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from semconv.errors import InputError
from semconv.tokens.index import read_index

IDS = ["a", "b", "c,d", "e"]
ROWS = ["a,0,1", "b,2,3", '"c,d",0,1', "e,7,0"]
HEADER = "item_id,code_0,code_1"


def written(path: Path, *rows: str, header: str = HEADER) -> Path:
    text = "\n".join([header, *rows]) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["theirs.csv", "theirs.csv.gz"])
def test_codes_come_in_the_order_of_the_corpus(tmp_path: Path, name: str) -> None:
    shuffled = random.Random(3).sample(ROWS, len(ROWS))
    index = read_index(written(tmp_path / name, *shuffled), IDS)
    assert index.name == "theirs"
    assert index.codes.tolist() == [[0, 1], [2, 3], [0, 1], [7, 0]]
    assert index.codes_per_level == 8
    assert read_index(tmp_path / name, IDS, 256).codes_per_level == 256


def test_columns_may_come_in_any_order_and_others_are_not_read(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "1,1e9,a,0", "3,x,b,2", header="code_1,score,item_id,code_0")
    assert read_index(path, ["a", "b"]).codes.tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*ROWS, "z,0,0"], "line 6: the corpus has no item 'z' .1 of 5 rows"),
        (ROWS[:3], "lacks 1 of the corpus's 4 items, 'e' first"),
        ([*ROWS, "b,2,3"], "line 6: item 'b' comes a second time"),
        ([*ROWS[:3], "e,8,0"], "line 5: code_0 is 8, outside 0 to 7"),
        (["a,0,1", "", "b,2,8"], "line 3 is blank"),
        ([*ROWS, ""], "line 6 is blank"),
        ([*ROWS[:3], "e,-1,0"], "line 5: code_0 is '-1', not a whole number"),
        ([*ROWS[:3], "e,7,1.5"], "line 5: code_1 is '1.5', not a whole number"),
        ([*ROWS[:3], "e,7,"], "line 5: code_1 is '', not a whole number"),
        ([*ROWS[:3], "e,7,99999999999999999999"], "line 5: code_1 is '9+', not a whole number"),
        ([*ROWS, "e,7"], "cannot be read as CSV: .*Expected 3 columns, got 2"),
        ([], "holds no item"),
    ],
)
def test_what_is_wrong_with_a_row_is_one_error(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_index(written(tmp_path / "x.csv", *rows), IDS, 8)


@pytest.mark.parametrize(
    "header",
    [
        "item_id,code_0,code_2",
        "item,code_0,code_1",
        "item_id,code_1,code_2",
        "item_id,a,b",
        "item_id,code_00,code_01",
        "item_id,code_0,code_0",
        "item_id,code_\u0660,code_\u0661",
    ],
)
def test_columns_that_are_not_an_index_are_named(tmp_path: Path, header: str) -> None:
    with pytest.raises(InputError, match=header.replace(",", ", ")):
        read_index(written(tmp_path / "x.csv", *ROWS, header=header), IDS)


def test_codes_beyond_the_codebooks_say_what_to_do(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", *ROWS[:3], "e,299,0")
    assert read_index(path, IDS).codes_per_level == 300
    with pytest.raises(InputError, match=r"code_0 is 299, outside 0 to 255.*tokenize\.codes is 300 or more"):
        read_index(path, IDS, 256)
    highest = written(tmp_path / "y.csv", *ROWS[:3], "e,65535,0")
    assert read_index(highest, IDS).codes_per_level == 65_536
    hashes = written(tmp_path / "z.csv", *ROWS[:3], "e,999999999,0")
    for size in (None, 256):
        with pytest.raises(InputError, match=r"line 5: code_0 is 999999999, outside 0 to .*from 0 on"):
            read_index(hashes, IDS, size)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["b,-2,z"], "x.csv, row 2: code_0 is '-2'"),
        (["b,9,z"], "x.csv, row 2: code_0 is 9, outside 0 to 7"),
        (["z,1,z"], "x.csv, row 2: the corpus has no item 'z'"),
        (["b,1,z", "a,1,z"], "x.csv, row 3: item 'a' comes a second time"),
        (["", "b,1,z"], "x.csv, row 2 is blank"),
    ],
)
@pytest.mark.parametrize("header", ["item_id,code_0,title", 'item_id,code_0,"ti\ntle"'])
def test_rows_are_counted_where_fields_span_lines(tmp_path: Path, rows: list[str], message: str, header: str) -> None:
    first = "a,1,x" if "\n" in header else 'a,1,"x\ny"'
    with pytest.raises(InputError, match=message):
        read_index(written(tmp_path / "x.csv", first, *rows, header=header), ["a", "b"], 8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"item_id,code_0,t\xe9\na,1,x\nb,2,x\n", "header of .*x.csv is not UTF-8 text.*Save the file as UTF-8"),
        (b"item_id,code_0,t\na,1,x\nb,2,\xe9\n", "x.csv cannot be read as CSV: .*invalid UTF8"),
    ],
)
def test_text_in_another_encoding_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_index(tmp_path / "x.csv", ["a", "b"])


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no index file"):
        read_index(tmp_path / "absent.csv", IDS)
    (tmp_path / "text.csv.gz").write_text("not packed")
    with pytest.raises(InputError, match="cannot be read"):
        read_index(tmp_path / "text.csv.gz", IDS)
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match="cannot be read"):
        read_index(tmp_path / "empty.csv", IDS)


@pytest.mark.data
def test_published_indexes_are_read_whole(reference_data: Path) -> None:
    with gzip.open(reference_data / "beauty" / "items.jsonl.gz", "rt") as lines:
        ids = [line.split('"')[3] for line in lines]
    for name, distinct in (("letter_native", 12_015), ("rqvae_native", 11_499), ("rkmeans_native", 10_527)):
        index = read_index(reference_data / "beauty" / "indexes" / f"{name}.csv.gz", ids, 256)
        assert index.codes.shape == (12_101, 4)
        assert len({tuple(row) for row in index.codes.tolist()}) == distinct
