"""Users: who there is, what is known of them, what they do, and forgetting them."""

from __future__ import annotations

from collections.abc import Sequence

from serve.bodies import Bodies
from serve.http import Call, ProblemError, Response, json_response
from serve.parameters import Parameters
from serve.routes import Route
from serve.routes_recommend import unknown_user
from serve.service import Service

MAX_KEY = 128


class Users:
    """The handlers."""

    def __init__(self, service: Service, parameters: Parameters, bodies: Bodies) -> None:
        self._service = service
        self._parameters = parameters
        self._bodies = bodies

    @property
    def routes(self) -> Sequence[Route]:
        """What is answered here."""
        return (
            Route("GET", "/v1/users", "read", self.listing),
            Route("GET", "/v1/users/{user_id}", "read", self.known),
            Route("DELETE", "/v1/users/{user_id}", "admin", self.erase),
            Route("POST", "/v1/events", "events", self.add_events),
        )

    async def listing(self, call: Call) -> Response:
        """Known ids that begin alike."""
        prefix, limit = self._parameters.listing(call.query, "prefix")
        return json_response({"users": self._service.users(prefix, limit)})

    async def known(self, call: Call) -> Response:
        """A user's history."""
        self._parameters.nothing(call.query)
        user_id = call.user_id = self._parameters.identifier(call)
        found = self._service.user(user_id)
        if found is None:
            raise unknown_user()
        return json_response(found)

    async def erase(self, call: Call) -> Response:
        """Erase a user, known or not: what is not there is gone too."""
        self._parameters.nothing(call.query)
        user_id = call.user_id = self._parameters.identifier(call)
        events = await self._service.erase(user_id)
        return json_response({"user_id": user_id, "erased": True, "events": events})

    async def add_events(self, call: Call) -> Response:
        """Store events, durably; the idempotency key counts among those of the same API key."""
        self._parameters.nothing(call.query)
        sent = call.header(b"idempotency-key")
        if sent is not None and not (0 < len(sent) <= MAX_KEY and all(0x20 < byte < 0x7F for byte in sent)):
            detail = f"Give from 1 to {MAX_KEY} visible ASCII characters."
            raise ProblemError(400, "invalid-idempotency-key", "The Idempotency-Key is not valid", detail)
        events = await self._bodies.read_events(call)
        key = None if sent is None else f"{call.caller}/{sent.decode()}"
        accepted = await self._service.add_events(events, key)
        return json_response({"accepted": accepted.stored, "repeated": accepted.repeated}, 201)
