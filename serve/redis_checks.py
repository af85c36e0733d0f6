"""Whether a Redis server keeps what it acknowledges, and how its files forget what was removed."""

from __future__ import annotations

import time
from collections.abc import Callable

import redis

from serve.store import StoreError

REWRITE_S = 60.0
"""Longest wait for Redis to write its files anew."""
POLL_S = 0.02


def require_durable(client: redis.Redis, where: str) -> None:
    """Raise `StoreError` unless each write is on the disk before it is acknowledged, and nothing is evicted."""
    try:
        said = client.config_get("append*", "maxmemory*")
    except redis.ResponseError as error:
        raise StoreError(
            f"{where} does not say how it is configured: {error}",
            "Allow the command CONFIG GET to the user that the URL names",
        ) from error
    wanted = {"appendonly": "yes", "appendfsync": "always"}
    wrong = [f"{name} {value}" for name, value in wanted.items() if said.get(name) != value]
    if wrong:
        raise StoreError(
            f"{where} may lose events that it has acknowledged", f"Put {' and '.join(wrong)} into its settings"
        )
    policy = said["maxmemory-policy"]
    if int(said["maxmemory"]) and policy.startswith("allkeys"):
        raise StoreError(
            f"{where} throws away what it has acknowledged once its memory is full (maxmemory-policy {policy})",
            "Set maxmemory-policy to noeviction",
        )


def rewrite_files(client: redis.Redis) -> None:
    """Have the append-only file, and the snapshot where there is one, written anew, without what was removed.

    Raises `StoreError` if that fails or takes longer than `REWRITE_S`.
    """
    until = time.monotonic() + REWRITE_S
    _run(client, client.bgrewriteaof, ("aof_rewrite_scheduled", "aof_rewrite_in_progress"), until)
    if client.config_get("save")["save"]:
        _run(client, client.bgsave, ("rdb_bgsave_in_progress",), until)
    said = client.info("persistence")
    if said["aof_last_bgrewrite_status"] != "ok" or said["rdb_last_bgsave_status"] != "ok":
        raise StoreError("Redis could not write its files anew", "Look at its log, then ask again")


def _run(client: redis.Redis, begin: Callable[[], object], busy: tuple[str, ...], until: float) -> None:
    """Begin once no earlier one is under way, for that may have begun before the removal, and wait for the end."""
    begun = False
    while time.monotonic() < until:
        if any(client.info("persistence")[name] for name in busy):
            time.sleep(POLL_S)
        elif begun:
            return
        else:
            begun = _begun(begin)
    raise StoreError(f"Redis did not write its files anew within {REWRITE_S:.0f} s", "Ask again")


def _begun(begin: Callable[[], object]) -> bool:
    try:
        begin()
    except redis.ResponseError as error:
        if "in progress" in str(error):
            time.sleep(POLL_S)
            return False
        raise
    return True
