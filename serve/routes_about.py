"""What the service says of itself: its status, whether it is ready, its description, and its page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from serve import page
from serve.http import Call, ProblemError, Response, json_response, unavailable
from serve.openapi_page import docs_page
from serve.parameters import Parameters
from serve.routes import STATIC, Route, unknown_path
from serve.service import Service


class About:
    """The handlers. ``extras`` is what the gateway adds to the status, and to what that says of one thing."""

    def __init__(
        self,
        service: Service,
        parameters: Parameters,
        describe: Callable[[int], dict[str, Any]],
        extras: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._service = service
        self._parameters = parameters
        self._describe = describe
        self._extras = extras
        self._described: tuple[int, Response, Response] | None = None

    @property
    def routes(self) -> Sequence[Route]:
        """What is answered here."""
        return (
            Route("GET", "/v1/status", "read", self.status, early=True),
            Route("GET", "/healthz", None, self.health, early=True),
            Route("GET", "/readyz", None, self.ready, early=True),
            Route("GET", "/openapi.json", None, self.openapi),
            Route("GET", "/docs", None, self.docs),
            Route("GET", "/", None, self.page, early=True),
            Route("GET", STATIC, None, self.page, early=True),
        )

    async def status(self, call: Call) -> Response:
        """Versions, counts, age, and what the last swap came to."""
        self._parameters.nothing(call.query)
        content: dict[str, Any] = {"served": self._service.served is not None}
        if content["served"]:
            content |= await self._service.status()
        for name, more in self._extras().items():
            known = content.get(name)
            content[name] = known | more if isinstance(known, dict) and isinstance(more, dict) else more
        return json_response(content)

    async def health(self, _call: Call) -> Response:
        """The process answers."""
        return json_response({"status": "ok"})

    async def ready(self, _call: Call) -> Response:
        """It can answer known users."""
        if self._service.served is None:
            raise not_ready()
        return json_response({"status": "ready"})

    async def openapi(self, _call: Call) -> Response:
        """The description, for programs."""
        return self._description()[1]

    async def docs(self, _call: Call) -> Response:
        """The description, for people."""
        return self._description()[2]

    async def page(self, call: Call) -> Response:
        """The web page's files."""
        found = page.respond(call.path.decode("latin-1"))
        if found is None:
            raise unknown_path()
        return found

    def _description(self) -> tuple[int, Response, Response]:
        k = self._service.k
        if self._described is None or self._described[0] != k:
            described = self._describe(k)
            self._described = k, json_response(described), docs_page(described)
        return self._described


def not_ready() -> ProblemError:
    """There is no snapshot to answer from yet."""
    return unavailable("not-ready", "Nothing is served yet", "A snapshot is being opened and verified; ask again soon.")
