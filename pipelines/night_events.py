"""The events of a night: exported from the service where it is to be swapped, and the same ones for a night done twice.

A night that goes on after it was killed must ask for what it asked for before, or it starts from the beginning. So an
export is marked as the night's until that night ends, well or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.release_service import export_events
from semconv.config import Settings
from semconv.corpus.later import Later, read_later


@contextmanager
def tonights(settings: Settings, say: Callable[[str], None]) -> Iterator[Later | None]:
    """What `precache.events` holds, with ``release.service`` after an export into it; None where it is not set.

    Raises `ResourceError` where the service gives none, `InputError` for a folder without an export.
    """
    if settings.precache.events is None:
        yield None
        return
    folder = Path(settings.precache.events)
    if not settings.release.service:
        yield read_later(folder)
        return
    mark = folder.with_name(f".{folder.name}.night")
    if mark.exists():
        say("the night before was cut short: this one goes on with its export")
    else:
        say(export_events(settings, str(folder)))
        mark.touch()
    try:
        yield read_later(folder)
    except Exception:
        mark.unlink(missing_ok=True)
        raise
    mark.unlink(missing_ok=True)
