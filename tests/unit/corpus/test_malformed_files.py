"""Every malformed file gives one error that names the file, the line and what to do."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from semconv.errors import InputError, SettingError

GOOD = "user_id,item_id,timestamp\n" + "".join(f"u{row % 7},i{row % 5},{1_600_000_000 + row}\n" for row in range(2000))
ITEMS = "".join(json.dumps({"item_id": f"i{item}", "title": f"title {item}"}) + "\n" for item in range(5))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "input"
    folder.mkdir()
    (folder / "interactions.csv").write_text(GOOD)
    (folder / "items.jsonl").write_text(ITEMS)
    return folder


@pytest.fixture
def refused(ingest: Callable, folder: Path) -> Callable[..., str]:
    def check(**settings: object) -> str:
        with pytest.raises(InputError) as caught:
            ingest(folder, **settings)
        assert caught.value.remedy
        return str(caught.value)

    return check


def test_the_input_that_the_others_spoil_is_good(ingest: Callable, folder: Path) -> None:
    assert ingest(folder).manifest.counts["interactions"] == 2000


@pytest.mark.parametrize("name", ["interactions.csv", "items.jsonl"])
def test_truncated_gzip(folder: Path, refused: Callable[..., str], name: str) -> None:
    # Text that does not compress away, so that the cut falls inside the rows.
    digits = random.Random(3)
    text = (
        "user_id,item_id,timestamp\n" + "".join(f"{digits.getrandbits(64)},i1,{row}\n" for row in range(50_000))
        if name == "interactions.csv"
        else "".join(json.dumps({"item_id": str(digits.getrandbits(64))}) + "\n" for _ in range(50_000))
    )
    packed = gzip.compress(text.encode())
    (folder / name).unlink()
    (folder / f"{name}.gz").write_bytes(packed[: len(packed) // 2])
    message = refused()
    assert f"{name}.gz, line " in message
    assert "ends early" in message
    line = int(message.split("line ")[1].split(":")[0])
    assert 10_000 < line < 40_000


def test_damaged_gzip(folder: Path, refused: Callable[..., str]) -> None:
    packed = bytearray(gzip.compress(GOOD.encode()))
    packed[len(packed) // 2] ^= 0xFF
    (folder / "interactions.csv").write_bytes(packed)
    message = refused()
    assert "interactions.csv, line " in message
    assert "damaged" in message
    assert "again" in message


def test_wrong_delimiter_is_recognised(folder: Path, refused: Callable[..., str], ingest: Callable) -> None:
    (folder / "interactions.csv").write_text(GOOD.replace(",", ";"))
    message = refused()
    assert "interactions.csv, line 1" in message
    assert "delimited by ';': set corpus.delimiter" in message
    assert ingest(folder, delimiter=";").manifest.counts["interactions"] == 2000


@pytest.mark.parametrize("missing", ["user_id", "item_id", "timestamp"])
def test_a_missing_column_is_named_beside_those_found(
    folder: Path, refused: Callable[..., str], ingest: Callable, missing: str
) -> None:
    (folder / "interactions.csv").write_text(GOOD.replace(missing, "other", 1))
    message = refused()
    assert "interactions.csv, line 1: there is no column " + missing in message
    assert "found: " in message
    assert "other" in message
    assert "corpus.columns" in message
    assert ingest(folder, columns={missing: "other"}).manifest.counts["interactions"] == 2000


def test_a_missing_json_field_is_named(folder: Path, refused: Callable[..., str]) -> None:
    (folder / "items.jsonl").write_text(ITEMS.replace("item_id", "sku"))
    assert "items.jsonl, line 1: there is no column item_id; found: sku, title" in refused()


def test_mixed_encodings_name_the_first_line_that_does_not_decode(folder: Path, refused: Callable[..., str]) -> None:
    rows = GOOD.encode().splitlines(keepends=True)
    rows[1234] = "u1,café,1600000000\n".encode("latin-1")
    (folder / "interactions.csv").write_bytes(b"".join(rows))
    message = refused()
    assert "interactions.csv, line 1235: not utf-8 text: u1,caf" in message
    assert "corpus.encoding" in message


def test_mixed_encodings_in_items(folder: Path, refused: Callable[..., str]) -> None:
    (folder / "items.jsonl").write_bytes(ITEMS.encode() + '{"item_id": "i9", "title": "café"}\n'.encode("latin-1"))
    assert "items.jsonl, line 6: not utf-8 text" in refused()


def test_another_encoding_can_be_named(folder: Path, ingest: Callable) -> None:
    (folder / "items.jsonl").write_bytes('{"item_id": "i0", "title": "café"}\n'.encode("latin-1"))
    (folder / "interactions.csv").write_bytes("user_id,item_id,timestamp\nzoë,i0,5\n".encode("latin-1"))
    corpus = ingest(folder, encoding="latin-1")
    assert corpus.items["title"].to_pylist() == ["café"]
    assert corpus.user_ids == ["zoë"]
    with pytest.raises(SettingError, match="no character encoding latin-99"):
        ingest(folder, encoding="latin-99")


@pytest.mark.parametrize("content", [b"", b"\n\n", gzip.compress(b"", mtime=0)])
@pytest.mark.parametrize("name", ["interactions.csv", "items.jsonl"])
def test_an_empty_file(folder: Path, refused: Callable[..., str], name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    assert f"{name} is empty" in refused()


def test_a_header_without_rows(folder: Path, refused: Callable[..., str]) -> None:
    (folder / "interactions.csv").write_text("user_id,item_id,timestamp\n")
    assert "interactions.csv is empty but for its header" in refused()


def test_a_missing_file_is_named_beside_what_is_there(folder: Path, refused: Callable[..., str]) -> None:
    (folder / "items.jsonl").rename(folder / "things.jsonl")
    message = refused()
    assert "has no items.csv.gz or items.csv or items.jsonl.gz" in message
    assert "things.jsonl" in message
    assert "corpus.items" in message


def test_a_missing_folder_and_a_file_for_a_folder(ingest: Callable, folder: Path) -> None:
    with pytest.raises(InputError, match=r"input/nowhere does not exist"):
        ingest(folder / "nowhere")
    with pytest.raises(InputError, match="is a file, not a folder"):
        ingest(folder / "items.jsonl")


def test_no_folder_at_all(ingest: Callable) -> None:
    with pytest.raises(SettingError, match=r"corpus\.path is not set, and the reader native needs input"):
        ingest(None)


def test_lines_that_are_no_json(folder: Path, refused: Callable[..., str]) -> None:
    (folder / "items.jsonl").write_text("item_id,title\ni1,one\n")
    assert "items.jsonl, line 1: not a JSON object: item_id,title" in refused()


def test_a_file_that_is_not_parquet(folder: Path, refused: Callable[..., str]) -> None:
    (folder / "items.parquet").write_text(ITEMS)
    assert "items.parquet cannot be read as Parquet" in refused(items="items.parquet")


def test_an_unknown_format(folder: Path, refused: Callable[..., str]) -> None:
    (folder / "items.xlsx").write_text(ITEMS)
    assert "items.xlsx has no known format" in refused(items="items.xlsx")


def test_a_published_file_with_other_fields(folder: Path, refused: Callable[..., str]) -> None:
    (folder / "ratings.dat").write_text("1,2,3,4\n")
    (folder / "movies.dat").write_text("1::A::B\n")
    assert "ratings.dat, line 1: 1 fields separated by '::' where 4 are expected" in refused(reader="movielens")


def test_a_mapping_of_no_column_of_ours(ingest: Callable, folder: Path) -> None:
    with pytest.raises(SettingError, match=r"corpus\.columns maps 'user', which is none of our columns"):
        ingest(folder, columns={"user": "user_id"})


def test_files_ordered_in_two_ways(folder: Path, refused: Callable[..., str]) -> None:
    (folder / "interactions2.csv").write_text("user_id,item_id,position\nu1,i1,0\n")
    assert "interactions.csv has timestamps and interactions2.csv has not" in refused(interactions="interactions*.csv")


def test_nothing_left_says_why(folder: Path, refused: Callable[..., str]) -> None:
    (folder / "interactions.csv").write_text("user_id,item_id,timestamp\n,i1,1\nu1,i1,2\n")
    assert "No interaction is left of 2: missing user id 1, outside the 5-core 1" in refused(k_core=5)


def test_rows_of_another_width_are_quarantined_under_their_line(ingest: Callable, folder: Path) -> None:
    rows = GOOD.splitlines(keepends=True)
    rows[10] = "u1,i1\n"
    rows[700] = "u1,i1,3,4\n"
    rows[701] = ",i1,3\n"
    (folder / "interactions.csv").write_text("".join(rows))
    corpus = ingest(folder)
    quarantine = pq.read_table(corpus.path / "quarantine").to_pylist()
    assert sorted((row["line"], row["reason"]) for row in quarantine) == [
        (11, "wrong number of fields"),
        (701, "wrong number of fields"),
        (702, "missing user id"),
    ]
    assert {row["source"] for row in quarantine} == {"interactions.csv"}
    assert corpus.manifest.counts["interactions"] == 1997


def test_a_file_mostly_of_another_width(folder: Path, refused: Callable[..., str]) -> None:
    rows = GOOD.splitlines(keepends=True)
    (folder / "interactions.csv").write_text("".join([*rows, *["u1,i1,3,4\n"] * 5000]))
    message = refused()
    assert "interactions.csv, line " in message
    assert "another number of fields than the 3 expected (user_id, item_id, timestamp)" in message


def test_an_unclosed_quote(folder: Path, refused: Callable[..., str]) -> None:
    (folder / "interactions.csv").write_text(GOOD + '"u1,i1,3\n' + GOOD)
    message = refused()
    assert "interactions.csv, line 2002: a quote is not closed in" in message


def test_a_byte_order_mark_is_no_part_of_the_first_field(folder: Path, ingest: Callable) -> None:
    for name in ("interactions.csv", "items.jsonl"):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    corpus = ingest(folder)
    assert corpus.manifest.counts["interactions"] == 2000
    assert corpus.items["title"].null_count == 0


def test_a_truncated_parquet_file(folder: Path, refused: Callable[..., str]) -> None:
    pq.write_table(pa.table({"item_id": ["i1"] * 1000}), folder / "whole.parquet")
    (folder / "cut.parquet").write_bytes((folder / "whole.parquet").read_bytes()[:-40])
    assert "cut.parquet cannot be read as Parquet" in refused(items="cut.parquet")
