"""Ray's own log lines, kept out of the way; ``ray.verbose`` brings them back."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from ray.data import DataContext

FATAL = "fatal"


@contextmanager
def hushed(verbose: bool) -> Iterator[None]:
    """Hold back what native code writes to standard error during the block; shown after all if the block raises."""
    if verbose:
        yield
        return
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", FATAL)
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            held.seek(0)
            sys.stderr.write(held.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def quieten(verbose: bool) -> None:
    """Silence Ray's libraries in this process; errors still come back as exceptions."""
    context = DataContext.get_current()
    context.raise_original_map_exception = True  # the wrapped one loses its cause on the way back
    context.enable_progress_bars = verbose
    context.print_on_execution_start = verbose
    if not verbose:
        for name in ("ray.data", "ray.train", "ray.serve"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
