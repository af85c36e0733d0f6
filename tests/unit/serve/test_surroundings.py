"""What a replica finds around it: an address that others reach, and machines that would each have their own log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from semconv.config import ServeSettings
from semconv.errors import SettingError
from serve.args import Args
from serve.surroundings import machines, warn_of


def node(machine: str, cpus: float = 2.0, *, alive: bool = True) -> dict[str, Any]:
    return {"NodeManagerHostname": machine, "Alive": alive, "Resources": {"CPU": cpus} if cpus else {}}


def test_where_serve_listens_for_others_keys_are_asked_for_whatever_the_settings_say() -> None:
    open_to_all = Args(run=Path("/runs/a"))
    open_to_all.check()
    open_to_all.check("127.0.0.1")
    for host in ("0.0.0.0", "::", "10.0.0.7", "shop.example"):
        with pytest.raises(SettingError, match=r"serve\.keys is not set"):
            open_to_all.check(host)
    Args(run=Path("/runs/a"), serve=ServeSettings(keys="keys.json")).check("0.0.0.0")


def test_machines_are_counted_where_replicas_may_run() -> None:
    head = node("a", cpus=0)
    assert machines([head, node("a"), node("a"), node("b", alive=False)]) == {"a"}
    assert machines([head, node("b"), node("c")]) == {"b", "c"}


def test_a_log_that_each_machine_would_have_for_itself_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "ray.serve"):
        warn_of({"a"})
        assert caplog.messages == []
        warn_of({"a", "b"})
    assert "serve.events" in caplog.text
