"""Who may ask what: the Host header, and API keys with scopes.

The key file is a JSON list of {"name": ..., "sha256": ..., "scopes": [...]}, written by `python -m serve.keys`: it
holds digests of random keys, never a key. A changed file is read again without a restart.
"""

from __future__ import annotations

import hmac
import json
import logging
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from semconv.config import ServeSettings
from semconv.errors import InputError
from serve.http import Headers, ProblemError

Scope = Literal["read", "events", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "events", "admin")
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
RELOAD_S = 1.0
"""Seconds between two looks at whether the key file changed."""

log = logging.getLogger(__name__)


class Key(BaseModel):
    """One entry of the key file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: frozenset[Scope]


ANYBODY = Key(name="anybody", sha256="0" * 64, scopes=frozenset(SCOPES))
"""Who asks where no key is asked for."""
_KEYS = TypeAdapter(tuple[Key, ...])


class Hosts:
    """The names that this service answers to: a page of another site that resolves to this address is refused."""

    def __init__(self, settings: ServeSettings) -> None:
        own = f"[{settings.host}]" if ":" in settings.host else settings.host
        self._names = {name.lower().encode() for name in (*LOOPBACK, own, *settings.hosts)}

    def check(self, headers: Headers) -> None:
        """Raise a `ProblemError`: 400 without exactly one Host header, 421 for a name that is not one of ours."""
        found = [value for name, value in headers if name == b"host"]
        if len(found) != 1:
            raise ProblemError(400, "invalid-host", "The Host header is not valid", "Send exactly one.")
        if not self._known(found[0]):
            raise ProblemError(
                421, "unknown-host", "This host is not served here", "Add the name to serve.hosts if it should be."
            )

    def _known(self, host: bytes) -> bool:
        name, colon, port = host.rpartition(b":")
        if colon and port.isdigit() and len(port) <= 5:
            host = name
        return host.lower() in self._names


class Keys:
    """The keys of a file, looked at again when it changes; without a file everybody may do everything.

    Raises `InputError` when the file cannot be read at first; later what was read before stays in force.
    """

    def __init__(self, path: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = None if path is None else Path(path)
        self._clock = clock
        self._looked = clock()
        self._stamp: tuple[int, int, int] | None = None
        self._keys: tuple[Key, ...] = ()
        if self._path is not None:
            self._stamp = _stamp(self._path)
            self._keys = read_keys(self._path)

    def caller(self, headers: Headers) -> Key:
        """Whose key a request carries; a 401 `ProblemError` without one that is known."""
        if self._path is None:
            return ANYBODY
        self._look(self._path)
        asked = sha256(_sent(headers)).hexdigest()
        caller = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, asked):
                caller = key
        if caller is None:
            raise ProblemError(
                401,
                "key-needed",
                "A known API key is needed",
                "Send it as 'Authorization: Bearer KEY' or as 'X-API-Key: KEY'.",
                headers=((b"www-authenticate", b"Bearer"),),
            )
        return caller

    def _look(self, path: Path) -> None:
        now = self._clock()
        if now - self._looked < RELOAD_S:
            return
        self._looked = now
        try:
            stamp = _stamp(path)
            if stamp != self._stamp:
                self._keys = read_keys(path)
                self._stamp = stamp
        except InputError as error:
            log.warning("API keys stay as they were: %s", error)


def check_scope(caller: Key, scope: Scope) -> None:
    """Raise a 403 `ProblemError` when the key may not do this."""
    if scope not in caller.scopes:
        raise ProblemError(403, "scope-missing", "This key may not do that", f"It lacks the scope '{scope}'.")


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a file, names and digests each once; raises `InputError`."""
    try:
        keys = _KEYS.validate_python(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"The key file {path} cannot be read: {error.strerror}", _MAKE) from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = "/".join(map(str, first["loc"]))
        raise InputError(f"The key file {path} is not valid at '{where}': {first['msg']}", _MAKE) from None
    except ValueError:
        raise InputError(f"The key file {path} is not JSON", _MAKE) from None
    if len({key.name for key in keys}) < len(keys) or len({key.sha256 for key in keys}) < len(keys):
        raise InputError(f"The key file {path} has a name or a key twice", "Leave one of the entries out")
    return keys


_MAKE = "Write it with python -m serve.keys"


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        seen = path.stat()
    except OSError as error:
        raise InputError(f"The key file {path} cannot be read: {error.strerror}", _MAKE) from None
    return seen.st_mtime_ns, seen.st_size, seen.st_ino


def _sent(headers: Headers) -> bytes:
    found = [value for name, value in headers if name in (b"authorization", b"x-api-key")]
    if len(found) != 1:
        return b""
    scheme, _, key = found[0].partition(b" ")
    return key.strip() if key and scheme.lower() == b"bearer" else found[0]
