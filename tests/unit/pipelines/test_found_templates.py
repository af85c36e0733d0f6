"""Where templates lie, for processes that work in another folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.examples import templates_of, with_templates_found
from semconv.alignment.templates import TEMPLATES, read_templates
from semconv.config import Settings


def test_templates_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.toml").write_text(TEMPLATES.read_text())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    found = with_templates_found(Settings.model_validate({"align": {"tasks": {"templates": "own.toml"}}}))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert read_templates(found.align.tasks.templates) == read_templates()
    assert with_templates_found(Settings()) == Settings()


def test_templates_of_other_content_are_another_input(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    settings = Settings.model_validate({"align": {"tasks": {"templates": str(own)}}})
    assert templates_of(settings) == {} == templates_of(Settings())
    found = []
    for words in ("Title: ", "Name: "):
        own.write_text(TEMPLATES.read_text().replace("Title: ", words))
        found.append(templates_of(settings))
    assert found[0] != found[1]
    assert all(given.keys() == {"templates"} for given in found)
