"""The configuration reference: complete, and the committed page is what the settings say."""

from __future__ import annotations

from pathlib import Path

from semconv.cli import setting_names
from semconv.config.reference import main, reference

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_committed_page_is_what_is_generated(tmp_path: Path) -> None:
    main(["--out", str(tmp_path / "page.md")])
    again = "python -m semconv.config.reference --out docs/configuration.md"
    assert PAGE.read_text(encoding="utf-8") == (tmp_path / "page.md").read_text(encoding="utf-8"), f"run: {again}"


def test_every_setting_is_in_it_once_with_a_meaning() -> None:
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    assert {row.split("`")[1] for row in rows} == set(setting_names())
    assert len(rows) == len(set(setting_names()))
    for row in rows:
        cells = row.replace("\\|", "").strip("| ").split(" | ")
        assert len(cells) == 4, row
        assert all(cells), row


def test_what_changes_results_is_told_from_what_spreads_the_work() -> None:
    rows = {line.split("`")[1]: line for line in reference().splitlines() if line.startswith("| `")}
    assert rows["run.root"].endswith("**spread** |")
    assert "**spread**" not in rows["run.seed"]
    assert "integer, >= 1" in rows["precache.k"]
    assert "`native`, `amazon2014`" in rows["corpus.reader"]
    assert "&lt;run.root>" in rows["run.name"]
