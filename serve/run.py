"""The service over one run's artifacts, on this machine, until Ctrl-C.

python -m serve.run --config configs/demo.yaml
"""

from __future__ import annotations

import shlex
import threading
from contextlib import suppress

from semconv.cli import main
from semconv.config import Settings
from serve.ask import Questions, user_url
from serve.start import service


def describe(url: str, questions: Questions) -> str:
    """Where the service is and two questions to start with, as text for a terminal."""
    body = shlex.quote(questions.body())
    return "\n".join(
        [
            f"semconv serves {questions.run} at {url} (API: {url}/docs, status: {url}/v1/status); Ctrl-C ends it",
            "",
            "a known user, answered from the cache:",
            f"  curl -s {shlex.quote(user_url(url, questions.user_id))}",
            "a never-seen user with a history, answered live:",
            f"  curl -s {url}/v1/recommendations -H 'content-type: application/json' -d {body}",
        ]
    )


def run(settings: Settings) -> None:
    """Serve until interrupted."""
    with suppress(KeyboardInterrupt), service(settings) as url:
        print(describe(url, Questions.of(settings)), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(run, "serve.run")
