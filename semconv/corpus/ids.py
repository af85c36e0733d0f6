"""Ids as text: trimmed, and whole numbers that passed through a float column made whole again."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

MISSING = ("", "nan", "NaN", "NAN", "null", "NULL", "None")
"""What stands for no id, once trimmed."""

_FLOAT_INTEGER = r"^(-?\d+)\.0+$"


def clean_ids(column: pa.Array) -> pa.DictionaryArray:
    """Dictionary-encoded ids (in order of first appearance) of a column of any plain type; null where missing.

    Work is done once for each distinct value.
    """
    raw = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    values = raw.dictionary
    if pa.types.is_floating(values.type):
        integral = pc.equal(values, pc.floor(values))
        if pc.all(integral).as_py():
            values = values.cast(pa.int64())
    values = pc.utf8_trim_whitespace(values.cast(pa.string()))
    if pc.any(pc.match_substring(values, ".")).as_py():
        values = pc.replace_substring_regex(values, _FLOAT_INTEGER, r"\1")
    values = pc.if_else(pc.is_in(values, pa.array(MISSING)), pa.scalar(None, pa.string()), values)
    merged = values.dictionary_encode()
    codes = merged.indices.take(raw.indices)
    return pa.DictionaryArray.from_arrays(codes, merged.dictionary)
