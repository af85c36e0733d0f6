"""Settings: the file, the command line over it, and errors that name the setting and the nearest known one."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from semconv.cli import load_settings, main, setting_names
from semconv.command import status_of
from semconv.config import Settings, determining
from semconv.errors import InputError, SettingError
from serve.keys import main as keys

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def test_command_line_lies_over_the_file_and_keeps_its_siblings(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(yaml.safe_dump({"align": {"epochs": 3, "learning_rate": 0.5}, "run": {"name": "shop"}}))
    settings = load_settings(["--config", str(file), "--align.learning_rate", "1e-4"])
    assert (settings.align.epochs, settings.align.learning_rate, settings.run.name) == (3, 1e-4, "shop")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--align.lerning_rate", "1"], ["align.lerning_rate", "'align.learning_rate'"]),
        (["--k_cor", "1"], ["k_cor", "'corpus.k_core'"]),
        (["--align.learning_rate", "fast"], ["align.learning_rate", "fast"]),
        (["--align.zero_stage", "4"], ["align.zero_stage"]),
        (["--precache.k", "500"], ["recommend.beams"]),
        (["--config", "absent.yaml"], ["absent.yaml"]),
    ],
)
def test_a_bad_command_line_is_one_clear_error(arguments: list[str], words: list[str]) -> None:
    with pytest.raises(SettingError) as caught:
        load_settings(arguments)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("align: {spelin: tokens}", ["align.spelin", "align.spelling"]),
        ("alin: {epochs: 3}", ["alin"]),
        ("- a list", ["no mapping"]),
        ("1: {epochs: 3}", ["no mapping"]),
        ("align: {epochs: [", ["cannot be read"]),
    ],
)
def test_a_bad_file_is_one_clear_error_that_names_it(tmp_path: Path, content: str, words: list[str]) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(content)
    with pytest.raises(SettingError) as caught:
        load_settings(["--config", str(file)])
    assert all(word in str(caught.value) for word in [*words, "bad.yaml"])


def test_an_error_names_the_place_the_value_came_from(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text("align: {learning_rate: fast}")
    with pytest.raises(SettingError, match=r"shop\.yaml"):
        load_settings(["--config", str(file)])
    with pytest.raises(SettingError, match="the command line"):
        load_settings(["--config", str(file), "--align.learning_rate", "slow"])


def test_append_is_a_flag_for_short_and_needs_another_run_to_continue() -> None:
    settings = load_settings(["--append", "--run.parent", "april", "--run.name", "may"])
    assert (settings.tokenize.append, settings.run.parent) == (True, "april")
    with pytest.raises(SettingError, match=r"run\.parent names none"):
        load_settings(["--append"])
    with pytest.raises(SettingError, match=r"run\.parent and run\.name are both 'may'"):
        load_settings(["--append", "--run.parent", "may", "--run.name", "may"])
    with pytest.raises(SettingError, match=r"run\.parent is 'april', which only tokenize\.append"):
        load_settings(["--run.parent", "april"])


@pytest.mark.parametrize("name", [".", "..", "a/b", ".hidden", ""])
def test_a_run_name_cannot_leave_its_root(name: str) -> None:
    with pytest.raises(SettingError, match=r"run\.name"):
        load_settings(["--run.name", name])


def test_a_run_does_not_lie_where_releases_do() -> None:
    with pytest.raises(SettingError, match=r"run\.name is 'releases', which is where the releases of run\.root lie"):
        load_settings(["--run.name", "releases"])


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_configuration_loads(config: Path) -> None:
    assert load_settings(["--config", str(config)]).run.name == config.stem


def test_help_lists_every_setting_with_meaning_and_default() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", "from semconv.cli import load_settings; load_settings(['--help'])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    folded = " ".join(shown.split())
    for name in setting_names():
        assert f"--{name}" in folded, name
    assert "--append" in folded
    section, leaf = Settings.model_fields["align"].default, "learning_rate"
    assert type(section).model_fields[leaf].description in folded
    assert f"(default: {getattr(section, leaf)})" in folded


def test_only_settings_that_change_results_determine_artifacts() -> None:
    default, spread = Settings(), load_settings(["--align.workers", "2", "--align.checkpoint_every", "7"])
    assert determining(default.align) == determining(spread.align)
    assert determining(default.align) != determining(load_settings(["--align.epochs", "2"]).align)
    assert "path" not in determining(default.corpus)
    assert determining(default.embed)["sasrec"]["width"] == default.embed.sasrec.width


def test_a_command_prints_one_message_and_exits_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    def work(_: Settings) -> None:
        raise InputError("items.csv is empty", "Export it again")

    with pytest.raises(SystemExit) as exit_:
        main(work, "pipelines.ingest", [])
    assert exit_.value.code == 2
    assert capsys.readouterr().err == "pipelines.ingest: items.csv is empty. Export it again.\n"


def test_ctrl_c_ends_a_command_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    def work(_: Settings) -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as exit_:
        main(work, "pipelines.run", [])
    assert exit_.value.code == 130
    assert "stopped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/data/shop"), ["'/data/shop'", "the right to do so"]),
        (OSError(errno.ENOSPC, "No space left on device"), ["Free space there"]),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), ["is up and can be reached"]),
        (ValueError("two lines\nthe last of them"), ["ValueError: the last of them", "pipelines.doctor"]),
        (ValueError(), ["ValueError: without a word", "pipelines.doctor"]),
    ],
)
def test_what_nobody_foresaw_ends_in_what_to_do_too(
    error: Exception, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    assert status_of(fail, "shop.count") == 1
    *traceback, last = capsys.readouterr().err.splitlines()
    assert traceback[0].startswith("Traceback")
    assert last.startswith("shop.count: ")
    assert last.endswith(".")
    for word in words:
        assert word in last


def test_a_command_of_other_arguments_complains_alike(capsys: pytest.CaptureFixture[str]) -> None:
    assert keys(["add"]) == 2
    assert capsys.readouterr().err == (
        "serve.keys: The following arguments are required: --file. See python -m serve.keys --help.\n"
    )
