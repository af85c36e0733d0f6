"""Arrow IPC files as snapshots use them: uncompressed, read where they lie, refused by name when they are not whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt
import pyarrow as pa

from semconv.errors import ArtifactError


def write_single(path: Path, batch: pa.RecordBatch) -> None:
    """Write a file of one record batch."""
    with pa.ipc.new_file(str(path), batch.schema) as writer:
        writer.write_batch(batch)


def mapped(path: Path) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    """Columns and all record batches of a file, in mapped memory; `ArtifactError` when it is no Arrow file."""
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        return reader.schema, [reader.get_batch(index) for index in range(reader.num_record_batches)]
    except (OSError, pa.ArrowInvalid) as error:
        raise ArtifactError(f"{path} cannot be read: {error}", "Redo the precache stage") from None


def single(path: Path) -> pa.RecordBatch:
    """The one record batch of a file; `ArtifactError` when it has another number of them."""
    _, batches = mapped(path)
    if len(batches) != 1:
        raise ArtifactError(f"{path} has {len(batches)} record batches, not one", "Redo the precache stage")
    return batches[0]


def require_schema(path: Path, found: pa.Schema, wanted: pa.Schema) -> None:
    """Raise `ArtifactError` unless the file's columns are those that a snapshot has."""
    if not found.equals(wanted):
        raise ArtifactError(f"{path} has other columns than a snapshot's", "Redo the precache stage")


def width_of(schema: pa.Schema, column: str) -> int:
    """Length of the lists in a column of lists of equal length; 0 where there is no such column."""
    place = schema.get_field_index(column)
    kind = schema.field(place).type if place >= 0 else None
    return int(kind.list_size) if isinstance(kind, pa.FixedSizeListType) else 0


def matrix_of(column: pa.FixedSizeListArray) -> npt.NDArray[Any]:
    """A column of lists of equal length without a copy, (rows, length)."""
    return column.values.to_numpy().reshape(-1, column.type.list_size)  # type: ignore[no-any-return]


def lists_of(values: npt.NDArray[Any]) -> pa.FixedSizeListArray:
    """A matrix as a column of lists of equal length."""
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
