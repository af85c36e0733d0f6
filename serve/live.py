"""Live: the deployment that decodes for histories nobody has ranked ahead, several requests at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import torch
from ray import serve

from semconv.artifacts import Recommender, Run
from semconv.config import RecommendSettings
from semconv.recommend.ranker import NO_ITEM, Ranker
from serve.answers import LiveAnswer
from serve.args import Args, open_snapshot

Opener = Callable[[Run, RecommendSettings], Ranker]
"""Opens what a run recommends."""


@serve.deployment
class Live:
    """Opens the ranker once; decodes in a thread, so that the replica's own loop keeps taking requests.

    What recommends, its length and its filter are the snapshot's: the same history gets the same list here as there.
    """

    def __init__(self, args: Args, opener: Opener) -> None:
        torch.set_num_threads(args.threads)
        snapshot = open_snapshot(args)
        precache, recommend = (snapshot.manifest.settings[section] for section in ("precache", "recommend"))
        self._k = int(precache["k"])
        self._filter_seen = bool(precache["filter_seen"])
        self._model = Recommender.open(args.folders.artifact(Recommender.kind)).fingerprint
        self._ranker = opener(args.folders, RecommendSettings.model_validate(recommend))
        self._batch.set_max_batch_size(args.serve.live_batch_size)
        self._batch.set_batch_wait_timeout_s(args.serve.live_wait_ms / 1000)
        self._decode([[0]])

    async def rank(self, history: list[int]) -> LiveAnswer:
        """The snapshot's k best items after a history of item indices, oldest first."""
        answer: LiveAnswer = await self._batch(history)
        return answer

    async def model(self) -> str:
        """Fingerprint of the model that answers."""
        return self._model

    @serve.batch
    async def _batch(self, histories: list[list[int]]) -> list[LiveAnswer]:
        return await asyncio.to_thread(self._decode, histories)

    def _decode(self, histories: list[list[int]]) -> list[LiveAnswer]:
        arrays = [np.asarray(history, np.int32) for history in histories]
        ranking = self._ranker.rank(arrays, self._k, exclude=arrays if self._filter_seen else None)
        lengths = (ranking.items != NO_ITEM).sum(axis=1)
        return [
            LiveAnswer(items[:length].tolist(), scores[:length].tolist(), self._model)
            for items, scores, length in zip(ranking.items, ranking.scores, lengths, strict=True)
        ]
