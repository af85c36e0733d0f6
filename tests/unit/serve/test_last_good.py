"""What was served last: durable, in order, and never in the way of a start."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from semconv.config.serve import VariantSettings
from serve.args import Variants
from serve.last_good import FILE, KEPT, LastGood


def version(name: str, at: str = "") -> Variants:
    return Variants(variants=(VariantSettings(name="main", run="/runs/shop", snapshot=name),), at=at)


def names(found: list[Variants]) -> list[str | None]:
    return [variants.variants[0].snapshot for variants in found]


def test_the_latest_comes_first_and_only_a_few_stay(tmp_path: Path) -> None:
    kept = LastGood(tmp_path / "state")
    assert kept.read() == []
    for name in ("a", "b", "c", "d"):
        kept.write(version(name))
    assert names(LastGood(tmp_path / "state").read()) == ["d", "c", "b"]
    assert KEPT == 3


def test_one_that_is_served_again_is_there_once_and_first(tmp_path: Path) -> None:
    kept = LastGood(tmp_path)
    for name, at in (("a", "1"), ("b", "2"), ("a", "3")):
        kept.write(version(name, at))
    assert kept.read() == [version("a", "3"), version("b", "2")]


@pytest.mark.parametrize("content", [b"", b"{", b"[1, {}]", b'{"variants": []}', b"\xff\xfe", b'[{"variants": [{}]}]'])
def test_a_damaged_file_is_as_good_as_none_and_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    kept = LastGood(tmp_path)
    assert kept.read() == []
    kept.write(version("a"))
    assert names(kept.read()) == ["a"]


def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = LastGood(tmp_path)
    kept.write(version("a"))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        kept.write(version("b"))
    assert names(kept.read()) == ["a"]
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
