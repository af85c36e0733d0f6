"""Fixtures of the decoding tests."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest


@pytest.fixture(scope="session")
def published_codes(reference_data: Path) -> Callable[[str], npt.NDArray[np.int32]]:
    """Codes int32 (N, 4) of a published index of Beauty, by its name."""

    def read(index: str) -> npt.NDArray[np.int32]:
        with gzip.open(reference_data / "beauty" / "indexes" / f"{index}.csv.gz", "rt") as stream:
            rows = [[int(row[f"code_{level}"]) for level in range(4)] for row in csv.DictReader(stream)]
        return np.array(rows, np.int32)

    return read
