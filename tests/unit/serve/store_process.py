"""A process of its own that writes to an event store, one event at a time, and says of each that it was acknowledged.

python -m tests.unit.serve.store_process WHERE USER COUNT KEYS     # KEYS: prefix of the idempotency keys, or -
"""

from __future__ import annotations

import subprocess
import sys

from serve.questions import Event
from serve.store import open_store
from tests.conftest import REPOSITORY


def started(where: str, user_id: str, count: int, keys: str = "-") -> subprocess.Popen[str]:
    """The process, which writes ``count`` events; its standard output has the number of each one, a line."""
    command = [sys.executable, "-m", "tests.unit.serve.store_process", where, user_id, str(count), keys]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


def main(where: str, user_id: str, count: str, keys: str) -> None:
    """Write, and say so."""
    store = open_store(where)
    for number in range(int(count)):
        event = Event(user_id, f"item-{number}", number)
        accepted = store.add_events([event], None if keys == "-" else f"{keys}-{number}")
        print(accepted.seq, flush=True)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
