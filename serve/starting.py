"""Waiting for a service that was asked for: until it runs, and until whoever connects to it is answered."""

from __future__ import annotations

import logging
import time
import urllib.request
from collections.abc import Callable

from ray.serve.schema import ApplicationStatus

from semconv.errors import ResourceError

LOOK_S = 0.05
RUNNING_S = 1800.0
"""Longest wait for replicas: for a place to run, and until they have copied, verified and opened what they serve."""
UNHEALTHY_S = 60.0
"""Longest time that a replica may be down meanwhile; Serve starts it again."""
QUIET_S = 10.0
"""Seconds after which it is said what is waited for."""
READY_S = 60.0
"""Longest wait for the proxies to hear of replicas that run."""
ANSWER_S = 5.0

log = logging.getLogger(__name__)


def wait_until_running(look: Callable[[], tuple[ApplicationStatus, str]]) -> None:
    """Wait while ``look`` gives another status than running; raises `ResourceError`, with its words, for no run."""
    began = time.monotonic()
    before, since, told = ApplicationStatus.NOT_STARTED, began, ""
    while (found := look())[0] != ApplicationStatus.RUNNING:
        (state, why), now = found, time.monotonic()
        if state != before:
            before, since = state, now
        ill = state == ApplicationStatus.UNHEALTHY and now - since > UNHEALTHY_S
        if ill or state == ApplicationStatus.DEPLOY_FAILED or now - began > RUNNING_S:
            reason = why or f"it has been {state} for {now - since:.0f} s"
            raise ResourceError(f"The service did not start: {reason}", "Mend that, and start it again")
        if why != told and now - began > QUIET_S:
            log.warning("the service is not up yet: %s", why)
            told = why
        time.sleep(LOOK_S)


def wait_until_ready(url: str) -> None:
    """Wait until the service there answers: Serve says that it runs before HAProxy knows the replicas.

    Until then HAProxy answers 500 or 404 by itself. Raises `ResourceError` where that goes on.
    """
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + READY_S
    while True:
        try:
            direct.open(f"{url}/readyz", timeout=ANSWER_S).close()
        except OSError as error:
            if time.monotonic() > until:
                raise ResourceError(
                    f"The service runs, and {url} does not answer: {error}",
                    "Look for serve's proxy in Ray's logs; it listens on the cluster's head alone",
                ) from None
        else:
            return
        time.sleep(LOOK_S)
