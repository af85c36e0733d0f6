"""`auto` is settled by the device, and nothing else is touched."""

from __future__ import annotations

import pytest

from semconv.precision import Chosen, Precision, precision_on


@pytest.mark.parametrize(
    ("device", "chosen", "expected"),
    [
        ("cuda", "auto", "bf16"),
        ("cpu", "auto", "float32"),
        ("cpu", "bf16", "bf16"),
        ("cuda", "float32", "float32"),
    ],
)
def test_auto_is_bf16_on_gpus_alone(device: str, chosen: Chosen, expected: Precision) -> None:
    assert precision_on(device, chosen) == expected
