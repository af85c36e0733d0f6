"""Live: the deployment that decodes for histories nobody has ranked ahead, several requests at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ray import serve

from semconv.config.serve import ServeSettings
from serve.last_good import LastGood
from serve.models import Models
from serve.questions import LiveAnswer, LiveError, LiveQuestion
from serve.rankers import Opener, open_ranker

_Asked = tuple[LiveQuestion, float]
"""A question and when its time is up, on the monotonic clock."""


@serve.deployment
class Live:
    """Decodes in a thread of its own, so that the replica's own loop keeps taking requests."""

    def __init__(
        self,
        settings: ServeSettings,
        threads: int,
        cache: Path,
        last_good: LastGood | None = None,
        opener: Opener = open_ranker,
    ) -> None:
        """``threads``: of computing; ``cache``: where snapshots are copied to.

        ``last_good``: what to open where nothing of the first ``user_config`` can be.
        """
        import torch  # here, so that whoever deploys this need not

        torch.set_num_threads(threads)
        self._models = Models(cache, opener, last_good)
        self._turn = asyncio.Lock()
        self._changes: set[asyncio.Task[None]] = set()
        self._begun = False
        self._thread = ThreadPoolExecutor(1, "decode")
        self._batch.set_max_batch_size(settings.live_batch_size)
        self._batch.set_batch_wait_timeout_s(settings.live_wait_ms / 1000)

    async def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        """Serve what the `serve.args.Variants` name; what is open goes on answering meanwhile, and after a refusal.

        Waits for it at the start alone: Serve gives a replica no requests for as long as it waits for this.
        """
        change = asyncio.create_task(self._change(user_config))
        self._changes.add(change)
        change.add_done_callback(self._changes.discard)
        if not self._begun:
            self._begun = True
            await change

    async def rank(self, question: LiveQuestion) -> LiveAnswer:
        """The best ``question.k`` items; raises `LiveError`."""
        answer: LiveAnswer | LiveError = await self._batch((question, time.monotonic() + question.budget_s))
        if isinstance(answer, LiveError):
            raise answer
        return answer

    async def reasons(self, question: LiveQuestion, items: tuple[int, ...]) -> list[dict[str, Any]]:
        """Why each of ``items`` would be recommended, see `LiveClient`; raises `LiveError`."""
        model = self._models.of(question.snapshot)
        return await asyncio.get_running_loop().run_in_executor(self._thread, model.reasons, question, items)

    async def status(self) -> dict[str, Any]:
        """See `Models.status`."""
        return self._models.status()

    async def _change(self, user_config: Mapping[str, Any]) -> None:
        async with self._turn:
            await asyncio.to_thread(self._models.open, user_config)

    @serve.batch
    async def _batch(self, asked: list[_Asked]) -> list[LiveAnswer | LiveError]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, decode, self._models, asked)


def decode(models: Models, asked: Sequence[_Asked]) -> list[LiveAnswer | LiveError]:
    """An answer, or why there is none, to each question; those of one snapshot are decoded together."""
    answers: list[LiveAnswer | LiveError] = [LiveError("its time was up before it was decoded")] * len(asked)
    rows: dict[tuple[str, bool], list[int]] = {}
    for row, (question, until) in enumerate(asked):
        if time.monotonic() < until:
            rows.setdefault((question.snapshot, bool(question.wish)), []).append(row)
    for (snapshot, _), alike in rows.items():
        try:
            found: Sequence[LiveAnswer | LiveError] = models.of(snapshot).rank([asked[row][0] for row in alike])
        except LiveError as error:
            found = [error] * len(alike)
        for row, answer in zip(alike, found, strict=True):
            answers[row] = answer
    return answers
