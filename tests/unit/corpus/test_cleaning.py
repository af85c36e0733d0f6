"""Values: ids, times, numbers and text, each as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semconv.corpus.ids import clean_ids
from semconv.corpus.text import clean_text, flatten_text, split_categories
from semconv.corpus.times import parse_floats, parse_integers, parse_times

S = 1_600_000_000
NS = 10**9


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("17850.0", "17850"),
        (" 17850 ", "17850"),
        ("17850.5", "17850.5"),
        ("-3.00", "-3"),
        ("85123A", "85123A"),
        ("0012", "0012"),
        ("v1.0", "v1.0"),
        ("", None),
        ("\t ", None),
        ("nan", None),
        ("NULL", None),
        ("none", "none"),
    ],
)
def test_ids_are_trimmed_and_typed(raw: str, clean: str | None) -> None:
    assert clean_ids(pa.array([raw, "other", raw])).to_pylist() == [clean, "other", clean]


def test_ids_of_number_columns_are_whole() -> None:
    assert clean_ids(pa.array([17850.0, None, 3.0])).to_pylist() == ["17850", None, "3"]
    assert clean_ids(pa.array([12345678901, 2])).to_pylist() == ["12345678901", "2"]


def test_spellings_of_one_id_share_a_code() -> None:
    ids = clean_ids(pa.array(["17850.0", "b", " 17850"]))
    assert ids.dictionary.to_pylist() == ["17850", "b"]
    assert ids.indices.to_pylist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("raw", "unit", "nanoseconds"),
    [
        (str(S), "auto", S * NS),
        (f"{S}000", "auto", S * NS),
        (f"{S}000000", "auto", S * NS),
        (f"{S}000000000", "auto", S * NS),
        (str(S), "ms", S * 10**6),
        (f" {S}.5", "s", S * NS + NS // 2),
        (f"{float(S)}", "s", S * NS),
        ("1.6e9", "s", S * NS),
        ("2020-09-13T12:26:40Z", "auto", S * NS),
        ("2020-09-13 12:26:40", "s", S * NS),
        ("2020-09-13 14:26:40.250+02:00", "s", S * NS + NS // 4),
        ("2020-09-13", "s", (S - 44_800) * NS),
        ("9/13/2020 12:26", "s", (S - 40) * NS),
        ("yesterday", "s", None),
        ("", "s", None),
        ("2020-13-01", "s", None),
        ("inf", "s", None),
        ("99999999999999", "s", None),
    ],
)
def test_times(raw: str, unit: str, nanoseconds: int | None) -> None:
    alone = parse_times(pa.array([raw]), unit).to_pylist()
    beside_bad_and_dates = parse_times(pa.array(["x", raw, "2021-01-01", None]), unit).to_pylist()
    assert alone == [nanoseconds]
    assert beside_bad_and_dates == [None, nanoseconds, 1_609_459_200 * NS, None]


@pytest.mark.parametrize("form", [pa.int32(), pa.int64(), pa.float64(), pa.timestamp("s"), pa.timestamp("us", "UTC")])
def test_times_of_typed_columns(form: pa.DataType) -> None:
    column = pa.array([S, None], pa.int64()).cast(form if not pa.types.is_timestamp(form) else pa.int64())
    if pa.types.is_timestamp(form):
        moment = datetime.fromtimestamp(S, UTC)
        column = pa.array([moment, None], pa.timestamp("us", "UTC")).cast(form)
    assert parse_times(column, "s").to_pylist() == [S * NS, None]


def test_whole_and_fractional_numbers() -> None:
    texts = pa.array(["3", " 4.0", "5.5", "x", "", None, "1e3"])
    assert parse_integers(texts).to_pylist() == [3, 4, None, None, None, None, 1000]
    assert parse_floats(texts).to_pylist() == [3.0, 4.0, 5.5, None, None, None, 1000.0]
    assert parse_floats(pa.array([1.5, float("nan"), float("inf")])).to_pylist() == [1.5, None, None]


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Fish &amp; chips", "Fish & chips"),
        ("Fish &amp;amp; chips", "Fish & chips"),
        ("<p>one<br/>two</p>", "one two"),
        ("&lt;b&gt;bold&lt;/b&gt;", "bold"),
        ("5 < 7 and 9 > 8", "5 < 7 and 9 > 8"),
        ("a &lt; b", "a < b"),
        ("<style>p {x: y}</style>text<!-- note -->", "text"),
        ('<a href="x">link</a>', "link"),
        ("caf&eacute;&nbsp;&#40;new&#41;", "café (new)"),
        ("  two\n\tlines\u200b ", "two lines"),
        ("R&D", "R&D"),
        ("<br>", None),
        ("   ", None),
        (None, None),
    ],
)
def test_text(raw: str | None, clean: str | None) -> None:
    assert clean_text(raw) == clean


@settings(deadline=None)
@given(st.text(alphabet="ab<>/&; lt;gt;amp;nbsp\n", max_size=40))
def test_clean_text_holds_no_stray_whitespace(text: str) -> None:
    clean = clean_text(text)
    assert clean is None or (clean == " ".join(clean.split()) and clean)


def test_text_and_categories_may_come_as_lists() -> None:
    assert flatten_text(["a", ["b &amp; c"], None, 3]) == "a b & c 3"
    assert flatten_text([]) is None
    assert flatten_text(float("nan")) is None
    assert split_categories([["Shop", "Deep"], ["Shop", "A &amp; B"]], ",") == ["Shop", "Deep", "A & B"]
    assert split_categories("Comedy|Drama|", "|") == ["Comedy", "Drama"]
    assert split_categories("", ",") is None
