"""Which request goes where, and which scope its key needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from serve.http import Call, ProblemError, Response
from serve.security import Scope

Handler = Callable[[Call], Awaitable[Response]]
STATIC = "/page/{file}"


@dataclass(frozen=True)
class Route:
    """``path`` as the OpenAPI document has it; its one ``{name}``, if any, stands third. Without a scope it is open.

    ``early`` routes answer even while nothing is served yet.
    """

    method: str
    path: str
    scope: Scope | None
    handler: Handler
    early: bool = False


class Routes:
    """The table of all routes."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[bytes, dict[str, Route]] = {}
        self._with_id: dict[tuple[bytes, ...], dict[str, Route]] = {}
        for route in routes:
            if "{" not in route.path or route.path == STATIC:
                methods = self._exact.setdefault(route.path.encode(), {})
            else:
                prefix, _, suffix = route.path.partition("{")
                shape = tuple(f"{prefix}{suffix.partition('}')[2]}".encode().split(b"/"))
                methods = self._with_id.setdefault(shape, {})
            methods[route.method] = route

    def find(self, call: Call) -> Route:
        """The route of a request, whose ``segment`` is set; raises a 404 or 405 `ProblemError` without one."""
        methods = self._exact.get(call.path)
        if methods is None:
            parts = call.path.split(b"/", 5)
            if len(parts) >= 4:
                call.segment, parts[3] = parts[3], b""
                methods = self._with_id.get(tuple(parts))
            elif call.path.startswith(b"/page/"):
                methods = self._exact[STATIC.encode()]
        if methods is None:
            raise unknown_path()
        route = methods.get(call.method)
        if route is None:
            listed = ", ".join([*methods, *["HEAD"] * ("GET" in methods)])
            raise ProblemError(
                405,
                "method-not-allowed",
                "The method is not allowed here",
                f"Allowed: {listed}.",
                headers=((b"allow", listed.encode()),),
            )
        return route


def unknown_path() -> ProblemError:
    """A path that leads nowhere."""
    return ProblemError(404, "unknown-path", "There is nothing here", "GET /docs lists what there is.")
