"""Templates: the words around items and text in the token spelling, read from a TOML file."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semconv.alignment.registry import TASKS
from semconv.alignment.task import HISTORY
from semconv.errors import SettingError

TEMPLATES = Path(__file__).with_name("templates.toml")


@dataclass(frozen=True)
class Template:
    """A template in pieces: literal text and placeholder names in turn, the first piece literal."""

    pieces: tuple[str, ...]


def read_templates(path: str | Path | None = None) -> dict[str, list[Template]]:
    """Templates by task, and under `HISTORY` the one a recommendation is asked with; our own without a ``path``.

    Raises `SettingError` naming file, task and template where one does not fit its task, or a task is unknown.
    """
    file = TEMPLATES if path is None else Path(path)
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"The templates {file} cannot be read: {error}", "Make it valid TOML") from None
    wanted = {HISTORY: (HISTORY,)} | {name: task.places for name, task in TASKS.items()}
    unknown = sorted(content.keys() - wanted.keys())
    if unknown:
        raise SettingError(
            f"{file} has templates for the unknown task {unknown[0]}", f"The tasks are {', '.join(wanted)}"
        )
    read = {task: _parse(file, task, names, content.get(task)) for task, names in wanted.items()}
    if len(read[HISTORY]) > 1:
        raise SettingError(
            f"{file} has {len(read[HISTORY])} templates for {HISTORY}, and recommendations are asked with one",
            "Keep one of them",
        )
    return read


def _parse(path: Path, task: str, names: tuple[str, ...], given: Any) -> list[Template]:
    texts = [given] if isinstance(given, str) else given
    wanted = ", ".join(f"{{{name}}}" for name in names)
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise SettingError(f"{path} has no templates for the task {task}", f"Add one that holds {wanted}")
    templates = []
    for text in texts:
        pieces = re.split(r"\{(\w+)\}", text)
        if sorted(pieces[1::2]) != sorted(names) or pieces[-2] != names[-1] or pieces[-1]:
            raise SettingError(
                f"The template {text!r} of task {task} in {path} does not hold each of {wanted} once, the last of "
                "these at its end",
                "Write each placeholder once, and the answer last",
            )
        templates.append(Template(tuple(pieces[:-1])))
    return templates
