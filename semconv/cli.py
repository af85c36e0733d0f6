"""Settings from a YAML file and the command line, with errors that name the setting and the nearest known one.

settings = load_settings(["--config", "configs/beauty.yaml", "--align.learning_rate", "1e-4"])
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import ValidationError
from pydantic_settings import BaseSettings, CliSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources import InitSettingsSource

from semconv.command import CommandParser, status_of
from semconv.config import Section, Settings
from semconv.errors import SettingError


def setting_names(section: type[Section] = Settings, prefix: str = "") -> Iterator[str]:
    """Every leaf of the tree by its dotted name, in order."""
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from setting_names(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def nearest_setting(unknown: str) -> str:
    """The known setting most like ``unknown``, by edit similarity of the dotted name or of its last part."""
    names = list(setting_names())

    def likeness(name: str) -> float:
        whole = difflib.SequenceMatcher(None, unknown, name).ratio()
        last = difflib.SequenceMatcher(None, unknown.rsplit(".", 1)[-1], name.rsplit(".", 1)[-1]).ratio()
        return max(whole, 0.9 * last)

    return max(names, key=likeness)


class _Parser(CommandParser):
    """A parser whose complaints name the nearest known setting."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **(kwargs | {"allow_abbrev": False}))
        self.usage = f"{self.prog} [--config FILE] [--SECTION.NAME VALUE ...]"

    def error(self, message: str) -> NoReturn:
        _, found, rest = message.partition("unrecognized arguments: ")
        if found:
            unknown = rest.split()[0].lstrip("-").split("=")[0]
            raise SettingError(*_unknown(unknown, "the command line"))
        super().error(message)


def _unknown(name: str, where: str) -> tuple[str, str]:
    return f"Unknown setting '{name}' in {where}", f"The nearest known setting is '{nearest_setting(name)}'"


def load_settings(arguments: Sequence[str], program: str = "pipelines.run") -> Settings:
    """Read ``--config FILE`` if given, then lay the command line's ``--section.name value`` over it.

    Raises `SettingError` for an unreadable file, an unknown key or a value that does not validate.
    ``--help`` prints every setting with its meaning and default, and exits.
    """
    parser = _Parser(prog=f"python -m {program}", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", metavar="FILE", help="YAML file of settings; the command line lies over it")
    config = _Parser(add_help=False)
    config.add_argument("--config")
    known, _ = config.parse_known_args(list(arguments))
    from_file = _read_yaml(Path(known.config)) if known.config else {}
    where = known.config or "the command line"

    class FromSources(BaseSettings, Settings):
        model_config = SettingsConfigDict(
            extra="forbid",
            frozen=True,
            cli_hide_none_type=True,
            cli_enforce_required=False,
            cli_implicit_flags="dual",
            cli_avoid_json=True,
            cli_shortcuts={"tokenize.append": "append", "precache.since": "since"},
        )

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            command_line: CliSettingsSource[Any] = CliSettingsSource(
                settings_cls, cli_parse_args=list(arguments), root_parser=parser
            )
            return command_line, InitSettingsSource(settings_cls, from_file)

    FromSources.__doc__ = "Settings, read from the command line over a YAML file."
    try:
        merged = FromSources()
    except ValidationError as error:
        raise _explained(error, from_file, where) from None
    return Settings.model_validate(merged.model_dump())


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingError(f"There is no settings file {path}", "See configs/ for those that come along") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingError(f"The settings file {path} cannot be read: {error}", "Make it valid YAML") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise SettingError(f"The settings file {path} holds no mapping", "Write it as 'section:' and indented names")
    return content


def _explained(error: ValidationError, from_file: dict[str, Any], file: str) -> SettingError:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    where = file if _holds(from_file, first["loc"], first["input"]) else "the command line"
    if first["type"] == "extra_forbidden":
        return SettingError(*_unknown(name, where))
    message = first["msg"].removeprefix("Value error, ")
    if not name or first["type"] == "value_error":
        return SettingError(message, f"Change it in {file}")
    return SettingError(f"Setting '{name}' does not accept {first['input']!r}: {message}", f"Change it in {where}")


def _holds(tree: Any, path: Sequence[Any], value: Any) -> bool:
    """Whether the file's tree has this value at this path."""
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            return False
        tree = tree[part]
    return bool(tree == value)


def main(work: Callable[[Settings], None], program: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``work`` as a command: settings from ``arguments`` (default `sys.argv`), errors as one message.

    ``program`` is the module that ``work`` is a function of, where that is run itself: it is imported by its name, as
    worker processes import it, for what belongs to ``__main__`` would have to be sent to them.

    Exits as `status_of` says.
    """
    if getattr(work, "__module__", None) == "__main__":
        work = getattr(import_module(program), work.__name__)
    given = sys.argv[1:] if arguments is None else arguments
    stopped = "stopped; finished stages are kept, run the command again to go on."
    raise SystemExit(status_of(lambda: work(load_settings(given, program)), program, stopped))
