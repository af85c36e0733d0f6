"""The ladder: cache, then the live model within a deadline, then neighbours, then popular items.

All that a request finds it finds in one bundle: no answer mixes versions. Nothing here raises while a rung stands, and
the popular items always do.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from semconv.config.serve import ServeSettings
from semconv.recommend.wish_index import says_something
from serve.admission import Admission
from serve.beside import beside, indexed
from serve.fallback import fallback
from serve.fresh import Fresh
from serve.questions import Answer, LiveAnswer, LiveClient, LiveError, Wanted
from serve.shelf import Shelf
from serve.state import ShopState

TOLD_S = 1.0
"""Seconds between two lines in the log that say why the live model did not answer, at least."""

log = logging.getLogger("ray.serve")


class Ladder:
    """Of one replica; used on its event loop alone."""

    def __init__(self, state: ShopState, live: LiveClient, settings: ServeSettings) -> None:
        self.admission = Admission(settings.live_queue)
        self._state = state
        self._live = live
        self._deadline_s = settings.live_deadline_s
        self._told_at = -TOLD_S
        self._fresh = Fresh(state.store)

    def cached(self, shelf: Shelf, user_id: str, wanted: Wanted) -> Answer | None:
        """The list of a user to whom nothing has happened since the snapshot; None where it does not answer."""
        if (wanted.wish and says_something(wanted.wish)) or self._state.touched(user_id, shelf.after):
            return None
        known = shelf.snapshot.lookup(user_id)
        return None if known is None else _from_list(shelf, known.items.tolist(), known.scores.tolist(), wanted)

    async def for_user(self, shelf: Shelf, user_id: str, wanted: Wanted) -> Answer | None:
        """The user's items; None for a user whom nobody knows.

        Both as of the log's `ShopState.position` when this is called: who is erased meanwhile is to be asked for again.
        """
        wanted = _within(shelf, wanted)
        answer = self.cached(shelf, user_id, wanted)
        if answer is not None:
            return answer
        position, person = self._state.position, shelf.person(user_id)
        if person is None:
            return None
        snapshot = shelf.snapshot.fingerprint
        found = None if wanted.wish else await self._fresh.find(user_id, snapshot)
        answer = None if found is None else _from_list(shelf, *found, wanted)
        if answer is not None:
            return answer
        history = shelf.history(person)
        try:
            live = await self._ask(shelf, history, wanted, shelf.snapshot.kept if wanted.plain else wanted.k)
        except LiveError as error:
            return await self._fallen(shelf, history, wanted, error)
        if wanted.plain:
            await self._fresh.share(user_id, snapshot, position, live)
        return _live(shelf, live, wanted)

    async def for_history(self, shelf: Shelf, history: Sequence[str], wanted: Wanted) -> Answer:
        """The items after a history of ids, oldest first."""
        wanted = _within(shelf, wanted)
        indices = shelf.catalogue.indices(history)
        ignored = len(history) - len(indices)
        try:
            live = await self._ask(shelf, indices, wanted, wanted.k)
        except LiveError as error:
            return await self._fallen(shelf, indices, wanted, error, ignored)
        return _live(shelf, live, wanted, ignored)

    async def _ask(self, shelf: Shelf, history: Sequence[int], wanted: Wanted, k: int) -> LiveAnswer:
        """The live model's answer within the deadline; raises `LiveError`."""
        if wanted.category or wanted.brand:
            await indexed(shelf)
        try:
            with self.admission.admit(self._deadline_s):
                async with asyncio.timeout(self._deadline_s):
                    live = await self._live.rank(shelf.question(history, wanted, k, self._deadline_s))
        except LiveError:
            raise
        except TimeoutError:
            raise LiveError(f"no answer within {self._deadline_s:g} s") from None
        except Exception as error:  # whatever breaks between here and the model, a rung stands below it
            raise LiveError(f"{type(error).__name__}: {error}") from error
        if live.model != shelf.bundle.model:
            raise LiveError("another model answered than the snapshot's")
        return live

    async def _fallen(
        self, shelf: Shelf, history: Sequence[int], wanted: Wanted, error: LiveError, ignored: int = 0
    ) -> Answer:
        """What the rungs below the live model give."""
        if time.monotonic() - self._told_at >= TOLD_S:
            self._told_at = time.monotonic()
            log.warning("the live model gave no answer: %s", error)
        if wanted.category or wanted.brand or wanted.wish:
            await indexed(shelf)
        rung, items = await beside(shelf, lambda: fallback(shelf, history, wanted))
        return Answer(rung, items, shelf.bundle.versions(None), ignored)


def _within(shelf: Shelf, wanted: Wanted) -> Wanted:
    """What is wanted, as this snapshot can give it; a wish that says nothing is none."""
    wish = wanted.wish if says_something(wanted.wish) else ""
    return wanted._replace(k=min(wanted.k, shelf.snapshot.k), wish=wish)


def _from_list(shelf: Shelf, items: list[int], scores: list[float], wanted: Wanted) -> Answer | None:
    """An answer from a list that was ranked before; None if too little of it is left, and there may be more."""
    shown = shelf.first(items, scores, wanted)
    if len(shown) < min(wanted.k, len(items)):
        return None
    return Answer("cache", shown, shelf.bundle.versions(shelf.bundle.model))


def _live(shelf: Shelf, live: LiveAnswer, wanted: Wanted, ignored: int = 0) -> Answer:
    return Answer("live", shelf.first(live.items, live.scores, wanted), shelf.bundle.versions(live.model), ignored)
