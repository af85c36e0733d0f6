"""Every port that a process of the service listens on: the service itself on loopback, and nothing unforeseen."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from semconv.artifacts import Corpus
from tests.e2e.served import Service

HAPROXY = "/haproxy "
RAY = re.compile(r"gcs_server|raylet|/dashboard/|autoscaler|log_monitor|ray::|serve\.run")
"""Processes of Ray itself, and of workers as Ray sees them: their ports, drawn from the ephemeral ones, speak gRPC
behind Ray's token, or show metrics. Ray has no setting that binds them elsewhere."""


def listening(process: psutil.Process) -> Iterator[tuple[str, int]]:
    for connection in process.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN:
            yield connection.laddr.ip, connection.laddr.port


@pytest.fixture(scope="module")
def found(service: Service) -> dict[tuple[str, int], str]:
    """Names of processes by the addresses that they listen on."""
    family = [service.process, *service.process.children(recursive=True)]
    return {where: " ".join(one.cmdline()) for one in family for where in listening(one)}


def answer(port: int, path: str) -> str:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5, trust_env=False).text
    except httpx.HTTPError:
        return ""


def test_the_service_itself_and_its_replicas_listen_on_loopback_only(
    service: Service, found: dict[tuple[str, int], str]
) -> None:
    port = httpx.URL(service.url).port
    assert {ip for ip, at in found if at == port} == {"127.0.0.1"}
    replicas = {(ip, at) for (ip, at), name in found.items() if "Gateway" in name and 30000 <= at <= 31000}
    assert len(replicas) == 2
    assert {ip for ip, _ in replicas} == {"127.0.0.1"}


def test_what_other_machines_reach_is_haproxys_side_ports_and_rays_own(found: dict[tuple[str, int], str]) -> None:
    outside = {where: name for where, name in found.items() if where[0] != "127.0.0.1"}
    # Metrics and statistics, on all interfaces: the known exception, closed by the deploy files' firewall.
    assert len([name for name in outside.values() if HAPROXY in name]) == 2
    assert [name for name in outside.values() if HAPROXY not in name and not RAY.search(name)] == []


def test_nobody_is_recommended_anything_on_a_port_that_other_machines_reach(
    service: Service, found: dict[tuple[str, int], str], corpus: Corpus
) -> None:
    path = f"/v1/users/{corpus.user_ids[0]}/recommendations"
    port = httpx.URL(service.url).port
    assert port is not None
    assert '"source":"cache"' in answer(port, path)
    outside = {port for ip, port in found if ip != "127.0.0.1"}
    assert outside
    assert [port for port in outside if '"source"' in answer(port, path)] == []


def haproxys_config(service: Service) -> Path:
    (place,) = {" ".join(one.cmdline()).split(" -f ")[1].split()[0] for one in service.processes(HAPROXY)}
    return Path(place)


def test_haproxys_files_and_the_token_are_for_the_owner_alone(service: Service) -> None:
    assert stat.S_IMODE(haproxys_config(service).parent.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(service.state.stat().st_mode) == 0o700
    assert stat.S_IMODE((service.state / "running.json").stat().st_mode) == 0o600


def test_haproxy_tells_no_log_of_requests_and_waits_for_no_client_for_long(service: Service) -> None:
    config = haproxys_config(service).read_text().splitlines()
    told = {line.split()[1] for line in config if line.split()[:1] == ["log"]}
    assert told == {"/dev/null", "global"}
    assert "timeout client 60s" in [line.strip() for line in config]
