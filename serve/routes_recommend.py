"""Recommendations, and the reasons for them: for a known user, or for a history that comes along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serve.answers import content, timed
from serve.bodies import Bodies
from serve.http import Call, ProblemError, Response, json_response
from serve.parameters import Parameters
from serve.prepared import Prepared
from serve.questions import Wanted
from serve.routes import Route
from serve.service import Service


class Recommend:
    """The handlers; `Service` decides, they read and write."""

    def __init__(self, service: Service, parameters: Parameters, bodies: Bodies, prepared: Prepared) -> None:
        self._service = service
        self._parameters = parameters
        self._bodies = bodies
        self._prepared = prepared

    @property
    def routes(self) -> Sequence[Route]:
        """What is answered here."""
        return (
            Route("GET", "/v1/users/{user_id}/recommendations", "read", self.for_user),
            Route("POST", "/v1/recommendations", "read", self.for_history),
            Route("GET", "/v1/users/{user_id}/reasons", "read", self.reasons_for_user),
            Route("POST", "/v1/reasons", "read", self.reasons_for_history),
        )

    async def for_user(self, call: Call) -> Response:
        """A user's list; straight from what is kept ready, where that holds it."""
        user_id = call.user_id = self._parameters.identifier(call)
        wanted = self._parameters.wanted(call.query)
        plain = wanted.plain
        if plain:
            ready = self._prepared.get(user_id, wanted.k)
            if ready is not None:
                return timed(ready, call.started, "cache")
        answer = self._service.cached(user_id, wanted)
        if answer is None:
            answer = await self._service.for_user(user_id, wanted)
            if answer is None:
                raise unknown_user()
            return timed(content(answer), call.started, answer.rung)
        kept = content(answer)
        if plain:
            self._prepared.keep(user_id, wanted.k, answer, kept)
        return timed(kept, call.started, "cache")

    async def for_history(self, call: Call) -> Response:
        """The best items after a history."""
        self._parameters.nothing(call.query)
        asked: Any = await self._bodies.read(call, self._bodies.history.model_validate)
        wanted = Wanted(
            self._parameters.default_k if asked.k is None else self._parameters.check_k(asked.k),
            frozenset(asked.exclude),
            (asked.category or "").strip() or None,
            (asked.brand or "").strip() or None,
            asked.wish.strip(),
        )
        answer = await self._service.for_history(asked.history, wanted)
        return timed(content(answer, ignored=True), call.started, answer.rung)

    async def reasons_for_user(self, call: Call) -> Response:
        """Why items would be recommended to a user."""
        user_id = call.user_id = self._parameters.identifier(call)
        items, wish = self._parameters.reasons(call.query)
        reasons = await self._service.reasons_for_user(user_id, items, wish)
        if reasons is None:
            raise unknown_user()
        return json_response({"reasons": reasons})

    async def reasons_for_history(self, call: Call) -> Response:
        """Why items would be recommended after a history."""
        self._parameters.nothing(call.query)
        asked = await self._bodies.read_reasons(call)
        reasons = await self._service.reasons_for_history(asked.history, asked.items, asked.wish.strip())
        return json_response({"reasons": reasons})


def unknown_user() -> ProblemError:
    """Somebody of whom neither the snapshot nor the shop's log knows anything."""
    return ProblemError(
        404,
        "unknown-user",
        "The user is unknown",
        "Nothing is known of this id; POST /v1/recommendations answers for a history.",
    )
