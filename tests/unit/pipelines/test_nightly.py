"""Nights that cannot be: refused before anything is opened."""

from __future__ import annotations

import pytest

from pipelines.nightly import run
from semconv.config import RunSettings, Settings
from semconv.errors import SettingError


def test_a_night_of_runs_at_a_uri_is_refused_in_plain_words() -> None:
    with pytest.raises(SettingError, match=r"run\.root is a URI.*--release\.store"):
        run(Settings(run=RunSettings(root="s3://bucket/runs")))
