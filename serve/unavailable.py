"""What is not to be had, as indices of one snapshot's catalogue."""

from __future__ import annotations

import threading

import numpy as np

from semconv.artifacts.ragged import Int32
from serve.catalogue import Catalogue
from serve.state import ShopState


class Unavailable:
    """Looks up what has changed since it was asked last, and nothing else: a shop may be out of many items."""

    def __init__(self, catalogue: Catalogue, state: ShopState) -> None:
        """Looks up all that is not to be had now, some microseconds an item."""
        self._catalogue = catalogue
        self._state = state
        self._changing = threading.Lock()
        self._known: frozenset[str] = frozenset()
        self._found: dict[str, int] = {}
        self._indices = np.zeros(0, np.int32)
        self.indices()

    def indices(self) -> Int32:
        """Those that the catalogue holds, int32, in no order."""
        with self._changing:
            now = self._state.unavailable
            if now is not self._known:
                self._change(now)
            return self._indices

    def _change(self, now: frozenset[str]) -> None:
        for item_id in self._known - now:
            self._found.pop(item_id, None)
        for item_id in now - self._known:
            self._found.update((item_id, index) for index in self._catalogue.indices([item_id]))
        self._known = now
        self._indices = np.fromiter(self._found.values(), np.int32, len(self._found))
