"""Times as nanoseconds since 1970 (UTC), whatever they were written as."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from semconv.corpus.layouts import TimeUnit

_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_LARGEST = {"s": 1e11, "ms": 1e14, "us": 1e17}
"""Above these a number cannot be of that unit: 1e11 seconds is the year 5138."""
_DATE_FORMATS = ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y")


def parse_times(column: pa.Array, unit: TimeUnit) -> pa.Array:
    """Times of a column of numbers, text or timestamps as int64 nanoseconds; null where they do not parse.

    Text may be a number, ISO 8601 (with or without offset; UTC without) or a US date (``12/31/2010 8:26``).
    """
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return _from_pandas(pd.to_datetime(column.to_pandas(), utc=True, errors="coerce"))
    if pa.types.is_integer(column.type):
        return _scaled(column.cast(pa.int64()), unit)
    if pa.types.is_floating(column.type):
        return _scaled_floats(column.cast(pa.float64()), unit)
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    try:
        return _scaled(text.cast(pa.int64()), unit)
    except pa.ArrowInvalid:
        return _mixed(text, unit)


def parse_integers(column: pa.Array) -> pa.Array:
    """Whole numbers (``3``, ``3.0``) of a column of numbers or text as int64; null where they do not parse."""
    if pa.types.is_integer(column.type):
        return column.cast(pa.int64())
    if not pa.types.is_floating(column.type):
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:
            column = parse_floats(column)
    floats = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    whole = np.isfinite(floats) & (np.abs(floats) < 2**53) & (floats == np.floor(floats))
    return pa.array(np.where(whole, floats, 0).astype(np.int64), mask=~whole)


def parse_floats(column: pa.Array) -> pa.Array:
    """Finite numbers of a column of numbers or text as float64; null where they do not parse."""
    try:
        floats = column.cast(pa.float64())
    except pa.ArrowInvalid:
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        numeric = pc.match_substring_regex(text, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
        floats = pc.if_else(numeric, text, pa.scalar(None, pa.string())).cast(pa.float64())
    return pc.if_else(pc.is_finite(floats), floats, pa.scalar(None, pa.float64()))


def _scaled(numbers: pa.Array, unit: TimeUnit) -> pa.Array:
    """Integers of ``unit`` as nanoseconds; null where they leave the range of int64."""
    valid = pc.is_valid(numbers).to_numpy(zero_copy_only=False)
    values = pc.fill_null(numbers, 0).to_numpy()
    factors = _factors(values, unit)
    fits = np.abs(values) <= np.iinfo(np.int64).max // factors
    return pa.array(np.where(fits, values, 0) * factors, mask=~(valid & fits))


def _scaled_floats(numbers: pa.Array, unit: TimeUnit) -> pa.Array:
    values = numbers.to_numpy(zero_copy_only=False)
    valid = np.isfinite(values)
    values = np.where(valid, values, 0.0)
    scaled = values * _factors(values, unit)
    valid &= np.abs(scaled) < 9.2e18
    # Whole numbers are scaled as integers: a float64 holds seconds exactly, but not their nanoseconds.
    whole = np.where(valid, values, 0).astype(np.int64) * _factors(values, unit)
    exact = values == np.floor(values)
    return pa.array(np.where(exact, whole, np.where(valid, scaled, 0).astype(np.int64)), mask=~valid)


def _factors(values: npt.NDArray[np.generic], unit: TimeUnit) -> npt.NDArray[np.int64]:
    if unit != "auto":
        return np.full(len(values), _NANOSECONDS[unit], np.int64)
    size = np.abs(values.astype(np.float64))
    return np.select(
        [size < _LARGEST["s"], size < _LARGEST["ms"], size < _LARGEST["us"]], [10**9, 10**6, 10**3], default=1
    ).astype(np.int64)


def _mixed(text: pa.Array, unit: TimeUnit) -> pa.Array:
    """Each value by the first way that reads it: a number, an ISO date, a US date."""
    numbers = parse_floats(text)
    times = _scaled_floats(numbers, unit)
    rest = pc.and_(pc.is_null(times), pc.is_null(numbers))
    if not pc.any(rest).as_py():
        return times
    dates = pc.if_else(rest, text, pa.scalar(None, pa.string())).to_pandas()
    parsed = pd.to_datetime(dates, format="ISO8601", utc=True, errors="coerce")
    for form in _DATE_FORMATS:
        if not bool((parsed.isna() & dates.notna()).any()):
            break
        parsed = parsed.fillna(pd.to_datetime(dates, format=form, utc=True, errors="coerce"))
    return pc.coalesce(times, _from_pandas(parsed))


def _from_pandas(times: pd.Series) -> pa.Array:
    missing = times.isna().to_numpy()
    values = times.dt.tz_convert(None).astype("datetime64[ns]").to_numpy().astype(np.int64)
    return pa.array(np.where(missing, 0, values), mask=missing)
