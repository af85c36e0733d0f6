"""The arithmetic of training: what a setting of ``auto`` means on a device."""

from __future__ import annotations

from typing import Literal

Chosen = Literal["auto", "bf16", "float32"]
Precision = Literal["bf16", "float32"]


def precision_on(device_type: str, chosen: Chosen) -> Precision:
    """``auto`` is bf16 on GPUs and float32 on CPUs.

    Of two processors with avx512_bf16 one multiplied bf16 matrices faster than float32 ones and the other at
    about half their speed (docs/decisions.md); float32 is right on both and gives both the same numbers.
    """
    if chosen == "auto":
        return "bf16" if device_type == "cuda" else "float32"
    return chosen
