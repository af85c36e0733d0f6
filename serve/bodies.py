"""Request bodies: JSON read strictly, then checked against models that carry this service's limits."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from semconv.config import ServeSettings
from serve.http import JSON, Call, ProblemError, read_body
from serve.questions import Event, ItemChange

LARGE = 65_536
"""Bytes of a body from which on it is read in a thread."""
LATEST_S = 4_102_444_800
"""The year 2100, in seconds: whoever sends milliseconds is told."""
MAX_TITLE, MAX_CATEGORIES = 2000, 100
NO_NUL = r"^[^\x00]*$"

Model = TypeVar("Model", bound=BaseModel)


class Bodies:
    """The models of one service's requests, and reading a request as one of them."""

    def __init__(self, limits: ServeSettings, most_asked: Callable[[], int]) -> None:
        self._limits = limits
        identifier = Annotated[str, Field(min_length=1, max_length=limits.max_id_length, pattern=NO_NUL)]
        words = Annotated[str, Field(max_length=limits.max_wish, pattern=NO_NUL)]
        history = Annotated[
            list[identifier],
            Field(
                max_length=limits.max_history,
                fail_fast=True,
                description="item ids, oldest first; unknown ones are ignored",
            ),
        ]
        exclude = Annotated[list[identifier], Field(max_length=limits.max_exclude, fail_fast=True)]
        k = Annotated[int, Field(ge=1, description="items wanted")]
        self.history = _model(
            "HistoryRequest",
            history=(history, ...),
            k=(k | None, None),
            exclude=(exclude, Field([], description="items that the answer must not hold")),
            category=(words | None, Field(None, description="a category that every item must have")),
            brand=(words | None, Field(None, description="the brand that every item must have")),
            wish=(words, Field("", description="what is wished for, in words")),
        )
        self.reasons = _model(
            "ReasonsRequest",
            history=(history, ...),
            items=(
                Annotated[list[identifier], Field(min_length=1, fail_fast=True, description="at most as many as k")],
                ...,
            ),
            wish=(words, ""),
        )
        timestamp = Field(None, description="seconds since 1970, or ISO 8601 (UTC unless it says otherwise); none: now")
        self.event = _model(
            "Event",
            user_id=(identifier, ...),
            item_id=(identifier, ...),
            timestamp=(int | float | str | None, timestamp),
        )
        events = Annotated[list[self.event], Field(min_length=1, max_length=limits.max_events, fail_fast=True)]  # type: ignore[name-defined]
        self.events = _model("Events", events=(events, ...))
        title = Annotated[str, Field(max_length=MAX_TITLE, pattern=NO_NUL)]
        self.item = _model(
            "ItemRequest",
            available=(
                bool | None,
                Field(None, description="false: out of stock, in no list; none leaves what is known, here and below"),
            ),
            title=(title | None, None),
            brand=(words | None, None),
            categories=(Annotated[list[words], Field(max_length=MAX_CATEGORIES, fail_fast=True)] | None, None),
        )
        self._most_asked = most_asked

    async def read(self, call: Call, read: Callable[[Any], Model]) -> Model:
        """The request's body as ``read`` takes its JSON; a large one in a thread, so that others do not wait for it."""
        _check_type(call)
        body = await read_body(call, self._limits.max_body_bytes)
        if len(body) < LARGE:
            return _checked(body, read)
        return await asyncio.to_thread(_checked, body, read)

    async def read_reasons(self, call: Call) -> Any:
        """The body of POST /v1/reasons."""
        asked: Any = await self.read(call, self.reasons.model_validate)
        if len(asked.items) > self._most_asked():
            raise ProblemError(422, "out-of-range", "items is out of range", f"At most {self._most_asked()} items.")
        return asked

    async def read_events(self, call: Call) -> list[Event]:
        """One event, or several in a list."""
        found: Any = await self.read(call, self._one_or_more)
        now = time.time_ns()
        return [Event(one.user_id, one.item_id, nanoseconds(one.timestamp, now)) for one in found.events]

    async def read_item(self, call: Call, item_id: str) -> ItemChange:
        """What is said of an item."""
        said: Any = await self.read(call, self.item.model_validate)
        categories = None if said.categories is None else tuple(said.categories)
        return ItemChange(item_id, said.available, False, said.title, said.brand, categories)

    def _one_or_more(self, content: Any) -> BaseModel:
        if isinstance(content, dict) and "events" in content:
            return self.events.model_validate(content)
        return self.events.model_construct(events=[self.event.model_validate(content)])


def nanoseconds(timestamp: float | str | None, now: int) -> int:
    """A time as an event has it; raises a 422 `ProblemError` for what is none between 1970 and 2100."""
    try:
        seconds = datetime.fromisoformat(timestamp) if isinstance(timestamp, str) else timestamp
        if isinstance(seconds, datetime):
            seconds = (seconds if seconds.tzinfo else seconds.replace(tzinfo=UTC)).timestamp()
        if seconds is None:
            return now
        if 0 <= seconds <= LATEST_S:
            return round(seconds * 1_000_000_000)
    except (ValueError, OverflowError):
        pass
    raise ProblemError(
        422,
        "invalid-timestamp",
        "A timestamp is not valid",
        "Give seconds since 1970, or ISO 8601 such as 2026-01-31T12:00:00Z; nothing after 2100.",
    )


def parse(body: bytes) -> Any:
    """JSON as RFC 8259 has it, each name once in an object; raises a 400 `ProblemError` for anything else."""
    try:
        return json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError:
        reason = "It is nested too deeply."
    except ValueError as error:
        reason = f"{str(error) or 'It cannot be read'}."
    raise ProblemError(400, "malformed-json", "The body is not JSON", reason)


def _checked(body: bytes, read: Callable[[Any], Model]) -> Model:
    try:
        return read(parse(body))
    except ValidationError as error:
        errors = [
            {"at": "/".join(map(str, one["loc"])), "problem": one["msg"]}
            for one in error.errors(include_url=False, include_input=False, include_context=False)[:10]
        ]
    raise ProblemError(422, "invalid-request", "The request is not valid", "See 'errors'.", errors=errors)


def _model(name: str, **fields: Any) -> type[BaseModel]:
    return create_model(name, __config__=ConfigDict(extra="forbid", strict=True), **fields)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("A name stands twice in an object")
    return content


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _check_type(call: Call) -> None:
    kind = (call.header(b"content-type") or b"").split(b";", 1)[0].strip().lower()
    if kind != JSON or call.header(b"content-encoding") not in (None, b"identity"):
        raise ProblemError(
            415, "unsupported-media-type", "The body's type is not supported", "Send application/json, not compressed."
        )
