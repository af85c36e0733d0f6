"""Answers from the cache as they were sent last time, for as long as they would be the same."""

from __future__ import annotations

from serve.questions import Answer
from serve.service import Service


class Prepared:
    """One answer a user, of those who asked last, at most ``size``; all go with a swap or an item's change.

    ``told``: whether the service wants to know what it showed, and so needs the answer again.
    """

    def __init__(self, service: Service, size: int, *, told: bool) -> None:
        self._service = service
        self._size = size
        self._told = told
        self._epoch: int | None = None
        self._kept: dict[str, tuple[int, bytes, Answer | None]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, user_id: str, k: int) -> bytes | None:
        """What was kept for this user and length, if nothing has happened since."""
        untouched = self._service.untouched(user_id)
        kept = self._kept.pop(user_id, None)
        if kept is None or not untouched or kept[0] != k or self._service.epoch != self._epoch:
            return None
        self._kept[user_id] = kept
        _, content, answer = kept
        if answer is not None:
            self._service.shown(user_id, answer)
        return content

    def keep(self, user_id: str, k: int, answer: Answer, content: bytes) -> None:
        """Keep what `Service.cached` has just answered."""
        if self._epoch != self._service.epoch:
            self._epoch = self._service.epoch
            self._kept.clear()
        if len(self._kept) >= self._size:
            del self._kept[next(iter(self._kept))]
        self._kept[user_id] = k, content, answer if self._told else None
