"""What is asked and answered, between the HTTP API, the ladder behind it and the live model. Knows no HTTP, no Ray."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from semconv.artifacts.ragged import Int32

Source = Literal["cache", "live", "fallback"]
Rung = Literal["cache", "live", "collaborative", "popular"]
"""The steps of the ladder; the last two are what the source ``fallback`` stands for."""


class Wanted(NamedTuple):
    """How many items, and which: ids left out, a category and a brand that all must have, a wish in words."""

    k: int
    exclude: frozenset[str] = frozenset()
    category: str | None = None
    brand: str | None = None
    wish: str = ""

    @property
    def plain(self) -> bool:
        """Whether nothing but a length is asked for."""
        return not (self.exclude or self.category or self.brand or self.wish)


@dataclass(frozen=True)
class Answer:
    """Ranked items, each with ``item_id``, ``title`` and ``score``, and where they came from.

    ``versions`` has ``snapshot``, ``model`` (None where none took part) and ``variant``; ``ignored`` counts ids of the
    history that the catalogue does not hold.
    """

    rung: Rung
    items: list[dict[str, Any]]
    versions: dict[str, str | None]
    ignored: int = 0

    @property
    def source(self) -> Source:
        """What the answer says of itself."""
        return self.rung if self.rung in ("cache", "live") else "fallback"  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class LiveQuestion:
    """A history of item indices, oldest first, asked of the model behind a snapshot (named by its fingerprint).

    ``exclude``: indices that must not appear, int32; ``budget_s``: seconds that are left when it is sent.
    """

    snapshot: str
    history: tuple[int, ...]
    k: int
    exclude: Int32 = field(default_factory=lambda: np.zeros(0, np.int32))
    category: str | None = None
    brand: str | None = None
    wish: str = ""
    budget_s: float = 2.0


@dataclass(frozen=True)
class LiveAnswer:
    """Item indices, best first, their scores, and the fingerprint of the model that chose them."""

    items: list[int]
    scores: list[float]
    model: str


class LiveError(Exception):
    """The live model gave no answer, with the reason."""


class LiveClient(Protocol):
    """The live model as an ingress replica sees it; every method raises `LiveError`."""

    async def rank(self, question: LiveQuestion) -> LiveAnswer:
        """The best ``question.k`` items."""
        ...

    async def reasons(self, question: LiveQuestion, items: tuple[int, ...]) -> list[dict[str, Any]]:
        """Why each of ``items`` would be recommended: `semconv.recommend.reasons.Reason` as JSON, items by index."""
        ...

    async def status(self) -> dict[str, Any]:
        """``model`` by snapshot fingerprint, and what else it says of itself; plain JSON values."""
        ...


@dataclass(frozen=True)
class Event:
    """Something a user did with an item; ``time`` in nanoseconds since 1970, UTC."""

    user_id: str
    item_id: str
    time: int


@dataclass(frozen=True)
class ItemChange:
    """What the shop says of an item since the catalogue was read; None leaves what was known.

    ``deleted`` items appear nowhere; those not ``available`` are left out of lists and can be looked up. In the log
    ``available`` is never None: an item is to be had unless the shop said otherwise since it was deleted last.
    """

    item_id: str
    available: bool | None = None
    deleted: bool = False
    title: str | None = None
    brand: str | None = None
    categories: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Change:
    """An entry of the event store's log, numbered from 1: exactly one of the three is set.

    ``erased`` is the digest of an erased user's id, as `semconv.corpus.later.erased_digest` makes it.
    """

    seq: int
    event: Event | None = None
    item: ItemChange | None = None
    erased: bytes | None = None


@dataclass(frozen=True)
class Accepted:
    """What became of a request's events: how many were stored now, and whether the idempotency key was seen before."""

    stored: int
    repeated: bool
    seq: int = 0
