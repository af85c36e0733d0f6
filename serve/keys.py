"""Writing the file of API keys that `serve.keys` names; the service reads it again when it changes.

python -m serve.keys add --file keys.json --name shop --scopes read,events     # prints the key, this once
python -m serve.keys list --file keys.json
python -m serve.keys remove --file keys.json --name shop
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from semconv.command import CommandParser, status_of
from semconv.errors import InputError
from serve.security import SCOPES, Key, read_keys

RANDOM_BYTES = 32
"""256 random bits in a key."""


def add(file: Path, name: str, scopes: Iterable[str]) -> str:
    """A new key for ``name``, whose digest joins the file; the key itself is kept nowhere. Raises `InputError`."""
    keys = read_keys(file) if file.exists() else ()
    if any(key.name == name for key in keys):
        raise InputError(f"{file} has a key named '{name}'", "Remove it first, or choose another name")
    key = f"semconv_{secrets.token_urlsafe(RANDOM_BYTES)}"
    try:
        entry = Key(name=name, sha256=sha256(key.encode()).hexdigest(), scopes=frozenset(scopes))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = "/".join(map(str, first["loc"]))
        remedy = f"Names have 1 to 64 of A-Z a-z 0-9 . _ -; scopes are {', '.join(SCOPES)}"
        raise InputError(f"'{what}' is not valid: {first['msg']}", remedy) from None
    _write(file, (*keys, entry))
    return key


def remove(file: Path, name: str) -> None:
    """Take the key of ``name`` out of the file. Raises `InputError`."""
    keys = read_keys(file)
    kept = tuple(key for key in keys if key.name != name)
    if len(kept) == len(keys):
        known = ", ".join(key.name for key in keys) or "none"
        raise InputError(f"{file} has no key named '{name}'", f"It has: {known}")
    _write(file, kept)


def _write(file: Path, keys: Iterable[Key]) -> None:
    """Replace the file in one step, readable by its owner alone."""
    text = json.dumps([key.model_dump(mode="json") | {"scopes": sorted(key.scopes)} for key in keys], indent=2) + "\n"
    staged = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        staged.replace(file)
    except OSError as error:
        staged.unlink(missing_ok=True)
        raise InputError(f"{file} cannot be written: {error.strerror}", "Choose another --file") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return status_of(lambda: run(arguments), "serve.keys")


def run(arguments: Sequence[str] | None) -> None:
    """Do what the arguments say. Raises `SemconvError`."""
    parser = CommandParser(prog="python -m serve.keys", description="API keys of the service.")
    parser.add_argument("action", choices=("add", "list", "remove"))
    parser.add_argument("--file", type=Path, required=True, help="the file that serve.keys names")
    parser.add_argument("--name", default="", help="whose key it is; tells keys apart in logs and limits")
    parser.add_argument("--scopes", default="read", help=f"what it may do, separated by commas: {', '.join(SCOPES)}")
    chosen = parser.parse_args(arguments)
    if chosen.action == "add":
        print(add(chosen.file, chosen.name, chosen.scopes.split(",")))
    elif chosen.action == "remove":
        remove(chosen.file, chosen.name)
    else:
        for key in read_keys(chosen.file):
            print(key.name, ",".join(sorted(key.scopes)))


if __name__ == "__main__":
    raise SystemExit(main())
