"""All that the service knows and does, without HTTP and without Ray: answers, what they are made from, and writes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from semconv.config.serve import ServeSettings
from serve.beside import beside, indexed
from serve.bundle import Served
from serve.impressions import Impressions
from serve.ladder import Ladder
from serve.questions import Accepted, Answer, Event, ItemChange, LiveClient, LiveError, Wanted
from serve.reasons import Reasons
from serve.search import search
from serve.shelf import Shelf
from serve.state import ShopState
from serve.store import StoreError
from serve.writes import Writes

STATUS_S = 1.0
"""Seconds that the status waits for the live model to say that it is there."""


@dataclass(frozen=True)
class _Now:
    """What is served, and its shelves by variant: one reference, so that no request sees parts of two."""

    served: Served
    shelves: Mapping[str, Shelf]

    def of(self, user_id: str) -> Shelf:
        return self.shelves[self.served.of(user_id).variant]

    @property
    def main(self) -> Shelf:
        return self.shelves[self.served.main.variant]


def _shelved(served: Served, state: ShopState) -> _Now:
    return _Now(served, {bundle.variant: Shelf(bundle, state) for bundle in served})


class Service:
    """One of an ingress replica; every method is called on the replica's own event loop.

    Nothing but `swap`, `served` and the erasure of users is asked of it before something is served.
    `UnknownItemsError` of `serve.shelf` names ids that nobody knows; `StoreError` of `serve.store` says that a write
    was not accepted; `LiveError` comes from `reasons_for_user` and `reasons_for_history` alone.
    """

    def __init__(
        self, state: ShopState, live: LiveClient, settings: ServeSettings, impressions: Impressions | None = None
    ) -> None:
        self._state = state
        self._live = live
        self._impressions = impressions
        self._ladder = Ladder(state, live, settings)
        self._reasons = Reasons(live)
        self._writes = Writes(state)
        self._swaps = 0
        self._through = 0
        self._now: _Now | None = None

    @property
    def served(self) -> Served | None:
        """What is answered from; None until something was swapped in."""
        return self._now.served if self._now is not None else None

    async def swap(self, served: Served) -> None:
        """Answer from this from the next request on; those under way end with what they began with.

        Raises `StoreError`, and changes nothing, where a snapshot holds less of the event log than the ones before and
        the log cannot be read again.
        """
        through = min(self._state.through(bundle.snapshot.events) for bundle in served)
        if through < self._through:
            await asyncio.to_thread(self._state.forget, through)
        self._now = await asyncio.to_thread(_shelved, served, self._state)
        self._swaps += 1
        self._through = through
        with suppress(StoreError):  # what is in the snapshots is never counted twice; it only stays in memory
            await asyncio.to_thread(self._state.forget, through)

    @property
    def k(self) -> int:
        """Most items that a request may ask for."""
        return self._current.served.k

    @property
    def waiting(self) -> int:
        """Requests of this replica that wait for the live model."""
        return self._ladder.admission.waiting

    @property
    def epoch(self) -> int:
        """Another number after each swap and each change of an item.

        What `cached` answered stays right for as long as this number stays and the user is `untouched`.
        """
        return self._swaps + self._state.items_changed

    def untouched(self, user_id: str) -> bool:
        """Whether the log, read to its end, says nothing of this user that is not in the snapshot."""
        self._state.refresh()
        return not self._state.touched(user_id, self._current.of(user_id).after)

    def cached(self, user_id: str, wanted: Wanted) -> Answer | None:
        """The user's list straight from the snapshot, or None: then ask `for_user`."""
        self._state.refresh()
        answer = self._ladder.cached(self._current.of(user_id), user_id, wanted)
        if answer is not None:
            self.shown(user_id, answer)
        return answer

    def shown(self, user_id: str, answer: Answer) -> None:
        """Log that a user was shown an answer that was kept ready; `cached` and `for_user` log their own."""
        if self._impressions is not None:
            self._impressions.add(user_id, answer)

    async def for_user(self, user_id: str, wanted: Wanted) -> Answer | None:
        """The user's list by the ladder: cache, live, collaborative, popular; None for a user whom nobody knows."""
        self._state.refresh()
        while True:
            position = self._state.position
            answer = await self._ladder.for_user(self._current.of(user_id), user_id, wanted)
            self._state.refresh()
            if not self._state.erased(user_id, position):
                break
        if answer is not None:
            self.shown(user_id, answer)
        return answer

    async def for_history(self, history: Sequence[str], wanted: Wanted) -> Answer:
        """The best items after a history of ids, oldest first, by the ladder without its first rung."""
        self._state.refresh()
        return await self._ladder.for_history(self._current.main, history, wanted)

    async def reasons_for_user(self, user_id: str, items: Sequence[str], wish: str = "") -> list[dict[str, Any]] | None:
        """Why each item would be recommended to the user; None for one whom nobody knows.

        Each: ``item_id``, ``title``, ``score``, ``sources`` [{source, contribution}], ``history`` [{item_id, title,
        contribution}], ``prefix`` {codes, item_id, title} or None, ``wish`` {name: value} or None.
        Raises `LiveError`, and `UnknownItemsError` for items that the catalogue does not hold.
        """
        self._state.refresh()
        shelf = self._current.of(user_id)
        person = shelf.person(user_id)
        return None if person is None else await self._reasons.of(shelf, shelf.history(person), items, wish)

    async def reasons_for_history(
        self, history: Sequence[str], items: Sequence[str], wish: str = ""
    ) -> list[dict[str, Any]]:
        """As `reasons_for_user`, for a history of ids."""
        self._state.refresh()
        shelf = self._current.main
        return await self._reasons.of(shelf, shelf.catalogue.indices(history), items, wish)

    def user(self, user_id: str) -> dict[str, Any] | None:
        """``user_id``, ``history`` [{item_id, title}] oldest first, ``new_events``; None for an unknown user."""
        self._state.refresh()
        shelf = self._current.of(user_id)
        person = shelf.person(user_id)
        if person is None:
            return None
        return {"user_id": user_id, "history": shelf.told(person), "new_events": len(person.new)}

    def users(self, prefix: str, limit: int) -> list[str]:
        """Ids of the snapshot's users that begin with ``prefix``, sorted, at most ``limit``, without erased ones."""
        self._state.refresh()
        shelf = self._current.main
        found = shelf.snapshot.user_ids(prefix, limit)
        return [user_id for user_id in found if not self._state.erased(user_id, shelf.after)]

    def knows_item(self, item_id: str) -> bool:
        """Whether `item` would give anything."""
        return self._current.main.find(item_id) is not None

    def item(self, item_id: str) -> dict[str, Any] | None:
        """``item_id``, ``title``, ``brand``, ``categories``, ``codes`` (None for an item newer than the snapshot),
        ``available``, ``recommendable``; None for an unknown or deleted item.
        """
        self._state.refresh()
        return self._current.main.view(item_id)

    def similar(self, item_id: str, k: int) -> Answer | None:
        """An item's neighbours, kept in the main snapshot, those that are to be had; None as `item`."""
        self._state.refresh()
        shelf = self._current.main
        found = shelf.find(item_id)
        if found is None:
            return None
        index, _ = found
        neighbours = []
        if index is not None:
            items, scores = shelf.snapshot.similar(index)
            neighbours = shelf.first(items.tolist(), scores.tolist(), Wanted(k))
        return Answer("cache", neighbours, shelf.bundle.versions(None))

    async def search(self, query: str, limit: int) -> list[dict[str, Any]]:
        """Items that the words speak of, best first; the one of that very id comes before all.

        Each: ``item_id``, ``title``, ``brand``, ``categories``, ``available``.
        """
        self._state.refresh()
        shelf = self._current.main
        await indexed(shelf)
        return await beside(shelf, lambda: search(shelf, query, limit))

    async def status(self) -> dict[str, Any]:
        """Fingerprints, counts and age of the main snapshot, all variants, the event log, what the live model says."""
        self._state.refresh()
        served = self._current.served
        snapshot = served.main.snapshot
        created = datetime.fromisoformat(snapshot.manifest.created)
        return {
            "versions": {"snapshot": snapshot.fingerprint, **snapshot.manifest.lineage},
            "variants": {
                bundle.variant: bundle.versions(bundle.model) | {"share": served.shares.get(bundle.variant)}
                for bundle in served
            },
            "users": snapshot.n_users,
            "items": snapshot.n_items,
            "k": served.k,
            "created": snapshot.manifest.created,
            "age_s": round((datetime.now(UTC) - created).total_seconds(), 1),
            "events": {"position": self._state.position, "error": self._state.error},
            "live": await self._live_status(),
        }

    async def add_events(self, events: Sequence[Event], key: str | None = None) -> Accepted:
        """Store events durably; raises `UnknownItemsError`, `StoreError`, `KeyReusedError`, and stores nothing then."""
        self._state.refresh()
        return await self._writes.add_events(list(self._shelves), events, key)

    async def put_item(self, change: ItemChange) -> dict[str, Any]:
        """Say something new of an item, known or not; gives what `item` gives then. Raises `StoreError`."""
        return await self._writes.put_item(self._current.main, change)

    async def delete_item(self, item_id: str) -> bool:
        """Take an item out; False for one that nobody knows. Raises `StoreError`."""
        self._state.refresh()
        return await self._writes.delete_item(list(self._shelves), item_id)

    async def erase(self, user_id: str) -> int:
        """Erase all that is known of a user; gives how many events went. Raises `StoreError`."""
        return await self._writes.erase(user_id)

    async def _live_status(self) -> dict[str, Any]:
        waiting: dict[str, Any] = {"waiting": self.waiting, "pace_s": self._ladder.admission.pace}
        try:
            async with asyncio.timeout(STATUS_S):
                return {"up": True, **waiting, **await self._live.status()}
        except (LiveError, TimeoutError) as error:
            return {"up": False, **waiting, "reason": str(error) or f"no answer within {STATUS_S:g} s"}

    @property
    def _current(self) -> _Now:
        assert self._now is not None, "nothing is served yet"
        return self._now

    @property
    def _shelves(self) -> Iterator[Shelf]:
        return iter(self._current.shelves.values())
