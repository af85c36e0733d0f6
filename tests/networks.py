"""A network of its own for a node: what runs there has addresses and ports as another machine has."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from tests.conftest import tool

OWN_FILES = 'mount -t tmpfs tmpfs /tmp/ray && exec "$@"'
"""Ray keeps what it knows of a node below this folder, so another machine needs another one."""


class Network(NamedTuple):
    """``within`` is before a command that is to run there; it has the address ``there``, and this machine ``here``."""

    within: tuple[str, ...]
    here: str
    there: str


@contextmanager
def other_network() -> Iterator[Network]:
    """For the time of the block; skips the test for a user who may not have one."""
    ip, mark = tool("ip"), secrets.token_hex(3)
    name, near, far, subnet = f"semconv-{mark}", f"near{mark}", f"far{mark}", f"10.97.{secrets.randbelow(254)}"
    inside = [ip, "netns", "exec", name]
    if subprocess.run([ip, "netns", "add", name], capture_output=True, check=False).returncode:
        pytest.skip("a network of its own for a node needs rights that this user does not have")
    try:
        for step in (
            [ip, "link", "add", near, "type", "veth", "peer", "name", far],
            [ip, "link", "set", far, "netns", name],
            [ip, "address", "add", f"{subnet}.1/24", "dev", near],
            [ip, "link", "set", near, "up"],
            [*inside, ip, "address", "add", f"{subnet}.2/24", "dev", far],
            [*inside, ip, "link", "set", far, "up"],
            [*inside, ip, "link", "set", "lo", "up"],
        ):
            subprocess.run(step, check=True, capture_output=True)
        own_files = ("unshare", "--mount", "sh", "-c", OWN_FILES, "sh")
        yield Network((*inside, *own_files), f"{subnet}.1", f"{subnet}.2")
    finally:
        subprocess.run([ip, "netns", "delete", name], check=True)
