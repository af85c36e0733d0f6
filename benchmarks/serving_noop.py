"""The rival of a cache hit: an application that always sends the same bytes, in as many replicas."""

from __future__ import annotations

from ray import serve

from serve.app import LOGGING
from serve.http import JSON, Receive, Response, Scope, Send, refuse_other, respond
from serve.ingress import FRONT

NAME = "noop"


class Constant:
    """An ASGI application that answers every request with ``body`` and the headers that the service sends."""

    def __init__(self, body: bytes) -> None:
        self._response = Response(body, 200, JSON)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http":
            await refuse_other(scope, receive, send)
            return
        await respond(send, self._response, b"")


@serve.deployment
@serve.ingress()
class Noop:
    """Its deployment."""

    def __init__(self, body: bytes) -> None:
        self._application = Constant(body)

    def __serve_build_asgi_app__(self) -> Constant:
        return self._application


def deploy_noop(url: str, body: bytes, replicas: int) -> str:
    """Deploy it on the cluster that serves at ``url``, beside what is there; gives its own URL."""
    # Without a claim to a CPU: Ray would wait for one that the service has already claimed. And without what the
    # service puts in front of its own replicas.
    claims = {"num_cpus": 0, "runtime_env": {"env_vars": dict.fromkeys(FRONT, "")}}
    options = {"max_ongoing_requests": 1000, "ray_actor_options": claims, "logging_config": LOGGING}
    serve.run(Noop.options(num_replicas=replicas, **options).bind(body), name=NAME, route_prefix=f"/{NAME}")
    return f"{url}/{NAME}"
