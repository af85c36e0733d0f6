"""The arithmetic of training: what a setting of ``auto`` means on a device."""

from __future__ import annotations

from typing import Literal

Chosen = Literal["auto", "bf16", "float32"]
Precision = Literal["bf16", "float32"]


def precision_on(device_type: str, chosen: Chosen) -> Precision:
    """``auto`` is bf16 on GPUs and float32 on CPUs.

    On the one processor with avx512_bf16 where both were timed, bf16 matrices were multiplied at about half the speed
    of float32 ones (docs/decisions.md).
    """
    if chosen == "auto":
        return "bf16" if device_type == "cuda" else "float32"
    return chosen
