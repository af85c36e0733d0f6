"""Who may use the cluster and the service: Ray's token and the service's keys."""

from __future__ import annotations

import ipaddress
import os
import stat
from pathlib import Path

from semconv.config import Settings
from semconv.errors import ResourceError, SettingError

TOKEN = Path(".ray") / "auth_token"


def token(settings: Settings) -> str:
    """The cluster asks for a token, and this user has it, for nobody else to read."""
    mode = os.environ.get("RAY_AUTH_MODE")
    if mode is not None and mode.lower() != "token":
        raise SettingError(
            f"RAY_AUTH_MODE is {mode}, so that whoever reaches the cluster can run programs on it",
            "Set RAY_AUTH_MODE=token, or leave it unset where a cluster is started here",
        )
    address = settings.ray.joined
    if address is None:
        return "a cluster started here gets one, in memory"
    if os.environ.get("RAY_AUTH_TOKEN"):
        return "from RAY_AUTH_TOKEN"
    given = os.environ.get("RAY_AUTH_TOKEN_PATH")
    file = Path(given) if given else Path.home() / TOKEN
    if not file.is_file():
        raise ResourceError(
            f"There is no token for the cluster at {address}: RAY_AUTH_TOKEN is not set, and {file} is not there",
            "Take it from the cluster's head (ray get-auth-token there), or set RAY_AUTH_TOKEN_PATH",
        )
    return f"from {_private(file)}"


def keys(settings: Settings) -> str:
    """A service that others can reach asks for keys."""
    file = settings.serve.keys
    if file is None:
        if not _loopback(settings.serve.host):
            raise SettingError(
                f"serve.host is {settings.serve.host}, which others reach, and serve.keys names no file",
                "Make one with python -m serve.keys, or let the service listen on 127.0.0.1",
            )
        return "none asked for on loopback"
    if not Path(file).is_file():
        raise ResourceError(f"serve.keys is {file}, and there is no such file", "Make it with python -m serve.keys")
    return f"from {_private(Path(file))}"


def _private(file: Path) -> Path:
    """The file, which must be readable by its owner and at most its group, and writable by its owner alone."""
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & (stat.S_IWGRP | stat.S_IRWXO):
        raise ResourceError(f"{file} has mode {mode:04o}, so that others can read or change it", f"chmod 600 {file}")
    if not os.access(file, os.R_OK):
        raise ResourceError(f"{file} may not be read by this user", f"chown {os.geteuid()} {file}")
    return file


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
