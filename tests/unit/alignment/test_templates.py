"""Templates: our own fit their tasks, and one that does not is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from semconv.alignment.registry import TASKS
from semconv.alignment.templates import TEMPLATES, read_templates
from semconv.errors import SettingError


def test_every_task_has_several_templates_and_a_recommendation_one() -> None:
    templates = read_templates()
    assert set(templates) == {"history", *TASKS}
    assert len(templates["history"]) == 1
    assert all(len(given) > 1 for name, given in templates.items() if name != "history")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("{title}\\nItem: {item}", "\\nItem: {item}"), "'Title: \\nItem: {item}' of task title_to_item"),
        (("is {item}", "is {item}."), "of task title_to_item"),
        (("{history}", "{histories}"), "of task history "),
        (("Who makes {item}? {brand}", "{brand} makes {item}"), "'{brand} makes {item}' of task item_to_brand"),
        (("Who makes {item}?", "Who makes {item} of {item}?"), "of task item_to_brand"),
        (("Who makes {item}? {brand}", "Who makes it?"), "'Who makes it?' of task item_to_brand"),
        (("item_to_title = [", "item_to_titel = ["), "unknown task item_to_titel"),
        (('history = "Items so far, oldest first: {history}"', ""), "no templates for the task history"),
        (('history = "Items so far, oldest first: {history}"', "history = []"), "no templates for the task history"),
        (('= "Items so far, oldest first: {history}"', '= ["a {history}", "b {history}"]'), "2 templates for history"),
        (("history = ", "history "), "cannot be read"),
    ],
)
def test_a_template_that_does_not_fit_is_named(change: tuple[str, str], problem: str, tmp_path: Path) -> None:
    changed = tmp_path / "templates.toml"
    text = TEMPLATES.read_text()
    assert change[0] in text
    changed.write_text(text.replace(*change))
    with pytest.raises(SettingError) as error:
        read_templates(changed)
    assert problem in str(error.value).replace("\n", "\\n").replace("\\\\", "\\")
    assert str(changed) in str(error.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingError, match=r"absent\.toml cannot be read"):
        read_templates("absent.toml")
