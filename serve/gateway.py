"""Gateway: the ingress deployment; answers known users itself and asks `Live` for the others."""

from __future__ import annotations

import asyncio

import ray.exceptions
from ray import serve
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from serve.answers import LiveAnswer, LiveError, Recommendations
from serve.api import Api
from serve.args import Args, open_snapshot


@serve.deployment
@serve.ingress()
class Gateway:
    """Maps the snapshot into memory, once its digests are right, and puts the HTTP API in front of it."""

    def __init__(self, args: Args, live: DeploymentHandle) -> None:
        self._live = live
        snapshot = open_snapshot(args)
        snapshot.verify()
        recommendations = Recommendations(snapshot, self._rank, args.serve.live_deadline_s)
        self._api = Api(recommendations, self._model, args.serve)

    def __serve_build_asgi_app__(self) -> Api:
        return self._api

    async def _rank(self, history: list[int]) -> LiveAnswer:
        response = self._live.rank.remote(history)
        try:
            answer: LiveAnswer = await response
        except (RayServeException, ray.exceptions.RayError) as error:
            raise LiveError(type(error).__name__) from error
        except asyncio.CancelledError:
            response.cancel()
            raise
        return answer

    async def _model(self) -> str:
        try:
            model: str = await self._live.model.remote()
        except (RayServeException, ray.exceptions.RayError) as error:
            raise LiveError(type(error).__name__) from error
        return model
