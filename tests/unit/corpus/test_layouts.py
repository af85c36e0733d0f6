"""Each published layout, in files as they are published, gives the same small corpus."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from semconv.errors import InputError

S = 1_318_222_486
NS = 10**9
EVENTS = [("A1", "B01", 5.0, S), ("A1", "B02", 4.0, S + 60), ("A2", "B02", 1.0, S + 30), ("A1", "B03", 3.0, S + 90)]
HISTORIES = {"A1": ["B01", "B02", "B03"], "A2": ["B02"]}
TIMES = [[S * NS, (S + 60) * NS, (S + 90) * NS], [(S + 30) * NS]]


def lines(rows: list[object]) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()


def native(folder: Path) -> None:
    rows = [f"{u},{i},{t},{r}" for u, i, r, t in EVENTS]
    (folder / "interactions.csv.gz").write_bytes(gzip.compress(lines(["user_id,item_id,timestamp,rating", *rows])))
    items = [
        {"item_id": "B01", "title": "One &amp; <b>only</b>", "brand": "X", "categories": "Shop, Deep ,Shop"},
        {"item_id": "B02", "title": "Two", "description": " so\n so ", "categories": ["Shop", "Deep"], "price": 3},
        {"item_id": "B03", "title": None, "price": None, "rank": 1},
    ]
    (folder / "items.jsonl.gz").write_bytes(gzip.compress(lines([json.dumps(item) for item in items])))


NATIVE_ITEMS = [
    ("B01", "One & only", "X", None, ["Shop", "Deep"]),
    ("B02", "Two", None, "so so", ["Shop", "Deep"]),
    ("B03", None, None, None, None),
]


def amazon2014(folder: Path) -> None:
    reviews = [
        json.dumps(
            {"reviewerID": u, "asin": i, "reviewerName": "N", "helpful": [0, 1], "overall": r, "unixReviewTime": t}
        )
        for u, i, r, t in EVENTS
    ]
    (folder / "reviews_Beauty_5.json.gz").write_bytes(gzip.compress(lines(reviews)))
    _meta2014(folder)


def _meta2014(folder: Path) -> None:
    items = [
        {"asin": "B01", "title": 'It\'s "One"', "brand": "X", "categories": [["Shop", "Deep"]], "price": 1.5},
        {"asin": "B02", "title": "Two", "description": "d &lt;i&gt;e&lt;/i&gt;", "categories": [["A"], ["A", "B"]]},
        {"asin": "B03", "salesRank": {"Beauty": 3}},
    ]
    (folder / "meta_Beauty.json.gz").write_bytes(gzip.compress(lines([repr(item) for item in items])))


AMAZON2014_ITEMS = [
    ("B01", 'It\'s "One"', "X", None, ["Shop", "Deep"]),
    ("B02", "Two", None, "d e", ["A", "B"]),
    ("B03", None, None, None, None),
]


def amazon2014_ratings(folder: Path) -> None:
    (folder / "ratings_Beauty.csv").write_bytes(lines([f"{u},{i},{r},{t}" for u, i, r, t in EVENTS]))
    _meta2014(folder)


def amazon2018(folder: Path) -> None:
    reviews = [
        json.dumps({"overall": r, "verified": True, "reviewerID": u, "asin": i, "unixReviewTime": t})
        for u, i, r, t in EVENTS
    ]
    (folder / "All_Beauty_5.json.gz").write_bytes(gzip.compress(lines(reviews)))
    _meta2018(folder)


def _meta2018(folder: Path) -> None:
    items = [
        {"asin": "B01", "title": "One", "brand": "X", "category": ["Shop", "Deep"], "description": ["a", "b"]},
        {"asin": "B02", "title": "<span>Two</span>", "brand": "", "category": [], "description": []},
        {"asin": "B03", "title": "Three", "tech1": "", "also_buy": ["B01"]},
    ]
    (folder / "meta_All_Beauty.json.gz").write_bytes(gzip.compress(lines([json.dumps(item) for item in items])))


AMAZON2018_ITEMS = [
    ("B01", "One", "X", "a b", ["Shop", "Deep"]),
    ("B02", "Two", None, None, None),
    ("B03", "Three", None, None, None),
]


def amazon2018_ratings(folder: Path) -> None:
    (folder / "All_Beauty.csv").write_bytes(lines([f"{i},{u},{r},{t}" for u, i, r, t in EVENTS]))
    _meta2018(folder)


def amazon2023(folder: Path) -> None:
    reviews = [
        json.dumps(
            {"rating": r, "title": "Nice", "asin": "V" + i, "parent_asin": i, "user_id": u, "timestamp": t * 1000}
        )
        for u, i, r, t in EVENTS
    ]
    (folder / "All_Beauty.jsonl.gz").write_bytes(gzip.compress(lines(reviews)))
    items = [
        {"title": "One", "store": "X", "parent_asin": "B01", "categories": ["Shop", "Deep"], "description": ["a", "b"]},
        {"title": "Two", "store": None, "parent_asin": "B02", "categories": [], "description": []},
        {"title": "Three", "main_category": "All", "parent_asin": "B03", "categories": [], "description": []},
    ]
    (folder / "meta_All_Beauty.jsonl.gz").write_bytes(gzip.compress(lines([json.dumps(item) for item in items])))


def movielens(folder: Path) -> None:
    (folder / "ratings.csv").write_bytes(
        lines(["userId,movieId,rating,timestamp", *(f"{u},{i},{r},{t}" for u, i, r, t in EVENTS)])
    )
    movies = [
        "movieId,title,genres",
        'B01,"American President, The (1995)",Comedy|Drama',
        "B02,Two,Drama",
        "B03,Three,",
    ]
    (folder / "movies.csv").write_bytes(lines(movies))


MOVIELENS_ITEMS = [
    ("B01", "American President, The (1995)", None, None, ["Comedy", "Drama"]),
    ("B02", "Two", None, None, ["Drama"]),
    ("B03", "Three", None, None, None),
]


def movielens_1m(folder: Path) -> None:
    (folder / "ratings.dat").write_bytes(lines([f"{u}::{i}::{int(r)}::{t}" for u, i, r, t in EVENTS]))
    movies = ["B01::Misérables, Les (1995)::Comedy|Drama", "B02::Two::Drama", "B03::Three::Drama"]
    (folder / "movies.dat").write_bytes("\n".join(movies).encode("latin-1"))


MOVIELENS_1M_ITEMS = [
    ("B01", "Misérables, Les (1995)", None, None, ["Comedy", "Drama"]),
    ("B02", "Two", None, None, ["Drama"]),
    ("B03", "Three", None, None, ["Drama"]),
]


@pytest.mark.parametrize(
    ("write", "reader", "items"),
    [
        (native, "native", NATIVE_ITEMS),
        (amazon2014, "amazon2014", AMAZON2014_ITEMS),
        (amazon2014_ratings, "amazon2014", AMAZON2014_ITEMS),
        (amazon2018, "amazon2018", AMAZON2018_ITEMS),
        (amazon2018_ratings, "amazon2018", AMAZON2018_ITEMS),
        (amazon2023, "amazon2023", AMAZON2018_ITEMS),
        (movielens, "movielens", MOVIELENS_ITEMS),
        (movielens_1m, "movielens", MOVIELENS_1M_ITEMS),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_published_layout(
    tmp_path: Path, ingest: Callable, histories: Callable, write: Callable, reader: str, items: list[tuple]
) -> None:
    write(tmp_path)
    corpus = ingest(tmp_path, reader=reader)
    assert histories(corpus) == HISTORIES
    assert pq.read_table(corpus.path / "sequences")["times"].to_pylist() == TIMES
    assert [tuple(row.values()) for row in corpus.items.to_pylist()] == items
    assert corpus.manifest.counts["rows"]["interactions"]["kept"] == 4
    assert histories(ingest(tmp_path, reader=reader, min_rating=4)) == {"A1": ["B01", "B02"]}


def test_unknown_item_fields_are_counted_and_left_out(tmp_path: Path, ingest: Callable) -> None:
    native(tmp_path)
    assert ingest(tmp_path).manifest.counts["unknown_item_fields"] == {"price": 2, "rank": 1}


def test_online_retail(tmp_path: Path, ingest: Callable, histories: Callable) -> None:
    rows = [
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
        '536365,85123A,"HEART, WHITE",6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom',
        "536366,85123A,white heart,6,2010-12-01 08:28:00,2.55,17850.0,United Kingdom",
        "536367,85123A,WHITE &amp; heart,6,12/1/2010 9:02,2.55,13047,United Kingdom",
        "536367,85123A,WHITE &amp; heart,6,12/1/2010 9:02,2.55,12,United Kingdom",
        "536368,71053,,6,2010-12-01 08:34:00,3.39,17850.0,United Kingdom",
        "536368,POST,POSTAGE,6,2010-12-01 08:34:00,3.39,17850.0,United Kingdom",
        "C536369,POST,POSTAGE,-1,2010-12-01 09:41:00,3.39,14527.0,United Kingdom",
        "536370,POST,POSTAGE,-1,2010-12-01 09:41:00,3.39,14527.0,United Kingdom",
        "536371,POST,POSTAGE,0,2010-12-01 09:41:00,3.39,14527.0,United Kingdom",
        "536372,POST,lost?,1,2010-12-01 09:41:00,3.39,,United Kingdom",
        "536373,POST,POSTAGE,1,yesterday,3.39,14527.0,United Kingdom",
        "536374, ,POSTAGE,1,2010-12-01 09:41:00,3.39,14527.0,United Kingdom",
    ]
    (tmp_path / "transactions.csv").write_bytes(lines(rows))
    corpus = ingest(tmp_path, reader="online_retail")
    assert histories(corpus) == {"17850": ["85123A", "85123A", "71053", "POST"], "13047": ["85123A"], "12": ["85123A"]}
    assert dict(zip(corpus.item_ids, corpus.items["title"].to_pylist(), strict=True)) == {
        "85123A": "WHITE & heart",
        "71053": None,
        "POST": "POSTAGE",
    }
    assert corpus.manifest.counts["rows"]["interactions"] == {
        "rows": 12,
        "kept": 6,
        "quarantined": {
            "cancellation": 1,
            "missing item id": 1,
            "missing user id": 1,
            "non-positive quantity": 2,
            "unparsable time": 1,
        },
        "filtered": {},
    }
    quarantine = {row["line"]: row for row in pq.read_table(corpus.path / "quarantine").to_pylist()}
    assert quarantine[8]["reason"] == "cancellation"
    assert json.loads(quarantine[8]["row"])["invoice"] == "C536369"
    times = pq.read_table(corpus.path / "sequences")["times"].to_pylist()
    assert times[1] == [1_291_194_120 * NS]


@pytest.mark.parametrize("column", ["InvoiceNo", "Description", "Quantity"])
def test_online_retail_needs_what_tells_purchases_and_names_them(tmp_path: Path, ingest: Callable, column: str) -> None:
    header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,CustomerID".replace(column, "Other")
    (tmp_path / "transactions.csv").write_bytes(lines([header, "1,x,a,1,2010-12-01 08:26:00,7"]))
    with pytest.raises(InputError, match=rf"no column .* \({column} in this layout\); found: .*Other"):
        ingest(tmp_path, reader="online_retail")


def test_a_shop_of_nothing_but_cancellations_is_refused(tmp_path: Path, ingest: Callable) -> None:
    header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,CustomerID"
    (tmp_path / "transactions.csv").write_bytes(lines([header, "C1,x,a,1,2010-12-01 08:26:00,7"]))
    with pytest.raises(InputError, match="No interaction is left of 1: cancellation 1"):
        ingest(tmp_path, reader="online_retail")


def test_equally_frequent_titles_are_decided_by_the_alphabet(tmp_path: Path, ingest: Callable) -> None:
    header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,CustomerID"
    for titles in (["b", "a"], ["a", "b"]):
        rows = [f"1,x,{title},1,2010-12-01 08:26:00,{user}" for user, title in enumerate(titles)]
        (tmp_path / "transactions.csv").write_bytes(lines([header, *rows]))
        assert ingest(tmp_path, reader="online_retail").items["title"].to_pylist() == ["a"]


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "jsonl", "jsonl.gz", "parquet"])
def test_any_format_with_a_column_mapping(tmp_path: Path, ingest: Callable, histories: Callable, suffix: str) -> None:
    rows = [{"who": u, "what": i, "stars": r, "when": t} for u, i, r, t in EVENTS]
    items = [{"id": item, "what": "thing", "label": f"title {item}"} for item in ("B01", "B02", "B03")]
    # Both tables have a column "what", and only one of them means the item's id by it.
    for name, table in (("log", rows), ("things", items)):
        path = tmp_path / f"{name}.{suffix}"
        if suffix == "parquet":
            pq.write_table(pa.Table.from_pylist(table), path)
            continue
        text = [json.dumps(row) for row in table]
        if suffix.startswith("csv"):
            text = ["\t".join(table[0]), *("\t".join(map(str, row.values())) for row in table)]
        path.write_bytes(gzip.compress(lines(text)) if suffix.endswith(".gz") else lines(text))
    columns = {
        "user_id": "who",
        "interactions.item_id": "what",
        "items.item_id": "id",
        "timestamp": "when",
        "rating": "stars",
        "title": "label",
    }
    corpus = ingest(
        tmp_path, interactions=f"log.{suffix}", items=f"things.{suffix}", columns=columns, delimiter="\t", min_rating=2
    )
    assert histories(corpus) == {"A1": ["B01", "B02", "B03"]}
    assert corpus.items["title"].to_pylist() == ["title B01", "title B02", "title B03"]


def test_several_files_are_read_in_the_order_of_their_names(
    tmp_path: Path, ingest: Callable, histories: Callable
) -> None:
    native(tmp_path)
    for part, user in ((2, "last"), (1, "first")):
        rows = [f"{u},{i},{t}" for u, i, _, t in EVENTS]
        (tmp_path / f"part{part}.csv").write_bytes(lines(["user_id,item_id,timestamp", f"{user},B01,1", *rows]))
    corpus = ingest(tmp_path, interactions="part*.csv")
    assert corpus.user_ids == ["first", "A1", "A2", "last"]
    assert corpus.manifest.counts["rows"]["interactions"]["filtered"] == {"repeated event": 4}


def test_a_quoted_field_may_hold_the_delimiter_and_line_breaks(tmp_path: Path, ingest: Callable) -> None:
    native(tmp_path)
    (tmp_path / "items.csv").write_text('item_id,title,categories\nB01,"a, ""b""\nc","X,Y"\nB02,d,\n')
    corpus = ingest(tmp_path, items="items.csv")
    assert corpus.items["title"].to_pylist() == ['a, "b" c', "d", None]
    assert corpus.items["categories"].to_pylist() == [["X", "Y"], None, None]
