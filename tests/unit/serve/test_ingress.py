"""The flags for HAProxy: complete, in the environment of what is started, and after what a person has set."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serve import ingress

SHOW = "import os; print(*(f'{n}={v}' for n, v in os.environ.items() if n.startswith('RAY_SERVE')), sep='\\n')"


def shown(*command: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "serve.ingress", *command]
    return subprocess.run(arguments, capture_output=True, text=True, env=environment, check=False, timeout=60)


def test_a_command_runs_with_the_flags_in_its_environment() -> None:
    done = shown(sys.executable, "-c", SHOW)
    assert done.returncode == 0, done.stderr
    assert dict(line.split("=") for line in done.stdout.split()) == ingress.HAPROXY | ingress.DEFAULTS


def test_a_pace_that_a_person_has_set_stays_and_the_mode_does_not() -> None:
    period = "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S"
    done = shown(sys.executable, "-c", SHOW, environment={period: "7", ingress.ENABLED: "0"})
    flags = dict(line.split("=") for line in done.stdout.split())
    assert (flags[period], flags[ingress.ENABLED]) == ("7", "1")


def test_without_a_command_or_with_one_that_is_not_there_one_line_says_so() -> None:
    for done in (shown(), shown("no-such-command-here")):
        assert done.returncode == 2
        assert done.stderr.startswith("serve.ingress: ")
        assert len(done.stderr.splitlines()) == 1


def test_the_mode_is_what_the_flags_say() -> None:
    assert [ingress.mode(ingress.flags(haproxy)) for haproxy in (True, False)] == ["haproxy", "python"]
    assert ingress.mode({}) == "python"


def test_ray_serve_reads_the_flags_as_they_are_meant(tmp_path: Path) -> None:
    wanted = ingress.flags(haproxy=True) | ingress.alone(tmp_path, lambda port: port + 20000)
    names = [
        "RAY_SERVE_ENABLE_HA_PROXY",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED",
        "RAY_SERVE_HAPROXY_METRICS_ENABLED",
        "RAY_SERVE_HAPROXY_LOG_TARGET",
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S",
        "PROXY_HEALTH_CHECK_PERIOD_S",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S",
        *(f"RAY_SERVE_{name}" for name in ingress.SIDE_PORTS),
    ]
    read = (
        "from ray.serve._private import constants, haproxy\n"
        f"print(*(getattr(constants, name) for name in {names}))\n"
        "print(*{value for name, value in vars(constants).items() if 'HAPROXY' in name and str(value).startswith('/')})"
    )
    done = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, env=wanted, check=True)
    values, places = done.stdout.splitlines()
    assert values.split() == ["True", "True", "False", "/dev/null", "60", "2.0", "2.0", "29101", "28404", "28500"]
    own = [place for place in places.split() if place not in ("/metrics", "/stats", "/dev/null")]
    assert len(own) == 5
    assert all(Path(place).is_relative_to(tmp_path) for place in own)


@pytest.mark.parametrize("module", ["serve.gateway", "serve.app", "serve.start"])
def test_a_gateway_starts_without_torch(module: str) -> None:
    check = f"import sys, {module}; sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    assert subprocess.run([sys.executable, "-c", check], check=False, timeout=120).returncode == 0
