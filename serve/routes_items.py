"""Items: what the catalogue and the shop say of them, what is like them, and changing what the shop says."""

from __future__ import annotations

from collections.abc import Sequence

from serve.answers import content, timed
from serve.bodies import Bodies
from serve.http import Call, ProblemError, Response, json_response
from serve.parameters import Parameters, out_of_range
from serve.routes import Route
from serve.service import Service


class Items:
    """The handlers."""

    def __init__(self, service: Service, parameters: Parameters, bodies: Bodies) -> None:
        self._service = service
        self._parameters = parameters
        self._bodies = bodies

    @property
    def routes(self) -> Sequence[Route]:
        """What is answered here."""
        return (
            Route("GET", "/v1/items", "read", self.search),
            Route("GET", "/v1/items/{item_id}", "read", self.known),
            Route("PUT", "/v1/items/{item_id}", "admin", self.put),
            Route("DELETE", "/v1/items/{item_id}", "admin", self.delete),
            Route("GET", "/v1/items/{item_id}/similar", "read", self.similar),
        )

    async def search(self, call: Call) -> Response:
        """Items that words speak of."""
        query, limit = self._parameters.listing(call.query, "query")
        if not query.strip():
            raise out_of_range("query", "Say in words what is looked for: ?query=WORDS.")
        return json_response({"items": await self._service.search(query, limit)})

    async def known(self, call: Call) -> Response:
        """One item."""
        self._parameters.nothing(call.query)
        found = self._service.item(self._parameters.identifier(call))
        if found is None:
            raise unknown_item()
        return json_response(found)

    async def similar(self, call: Call) -> Response:
        """An item's neighbours."""
        k = self._parameters.count(call.query)
        answer = self._service.similar(self._parameters.identifier(call), k)
        if answer is None:
            raise unknown_item()
        return timed(content(answer), call.started)

    async def put(self, call: Call) -> Response:
        """Say something of an item, known or not."""
        self._parameters.nothing(call.query)
        item_id = self._parameters.identifier(call)
        change = await self._bodies.read_item(call, item_id)
        return json_response(await self._service.put_item(change))

    async def delete(self, call: Call) -> Response:
        """Take an item out."""
        self._parameters.nothing(call.query)
        item_id = self._parameters.identifier(call)
        if not await self._service.delete_item(item_id):
            raise unknown_item()
        return json_response({"item_id": item_id, "deleted": True})


def unknown_item() -> ProblemError:
    """An item that neither the catalogue nor the shop knows, or that was taken out."""
    return ProblemError(404, "unknown-item", "The item is unknown", "GET /v1/items?query=WORDS looks for items.")
