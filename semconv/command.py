"""What every command has: complaints that end in what to do next, and exit statuses.

0 done; 2 an error that a person can act on, as one message; 130 stopped by Ctrl-C or SIGTERM; 1 an error that nobody
foresaw, its traceback before the message.
"""

from __future__ import annotations

import argparse
import errno
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from semconv.errors import SemconvError, SettingError

_SPACE = "Free space there, or choose another place"
_RIGHTS = "Give this user the right to do so, or choose another path"
_REACH = "See that what it talks to is up and can be reached from here"
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), _SPACE),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _RIGHTS),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.EISDIR), "Check the path"),
    **dict.fromkeys((errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ETIMEDOUT), _REACH),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "Raise the limit of open files (ulimit -n)"),
    errno.EADDRINUSE: "Choose another port, or end what has it",
}
_LINK = "For further information visit"
"""How pydantic ends a message."""
_UNFORESEEN = "Run python -m pipelines.doctor; where it finds nothing, report this with the lines above"


class CommandParser(argparse.ArgumentParser):
    """argparse whose complaints are `SettingError`s."""

    def error(self, message: str) -> NoReturn:
        """Raise it."""
        raise SettingError(message[:1].upper() + message[1:], f"See {self.prog} --help")


def status_of(work: Callable[[], object], program: str, stopped: str = "stopped") -> int:
    """Do ``work`` as the command ``program``; its exit status, what went wrong told on standard error.

    ``stopped`` is said where somebody stops it.
    """
    on_sigterm = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        work()
    except SemconvError as error:
        told = str(error)
        status = 2
    except KeyboardInterrupt:
        told = stopped
        status = 130
    except Exception as error:  # nobody foresaw it: the traceback, and what to do all the same
        traceback.print_exc()
        told = unforeseen(error)
        status = 1
    else:
        return 0
    finally:
        signal.signal(signal.SIGTERM, on_sigterm)
    print(f"{program}: {told}", file=sys.stderr, flush=True)
    return status


def unforeseen(error: Exception) -> str:
    """An error of the system, of a library or of ours, as a sentence that ends in what to do next."""
    remedy = _REMEDIES.get(error.errno or 0, _UNFORESEEN) if isinstance(error, OSError) else _UNFORESEEN
    lines = [line for line in str(error).strip().splitlines() if not line.strip().startswith(_LINK)]
    return str(SemconvError(f"{type(error).__name__}: {lines[-1] if lines else 'without a word'}", remedy))
