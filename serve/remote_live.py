"""The live model in its own deployment, as an ingress replica asks it."""

from __future__ import annotations

import asyncio
from typing import Any

from ray.serve.handle import DeploymentHandle

from serve.questions import LiveAnswer, LiveError, LiveQuestion


class RemoteLive:
    """A `LiveClient` over a handle of `Live`. Whatever goes wrong on the way is a `LiveError`."""

    def __init__(self, handle: DeploymentHandle) -> None:
        self._handle = handle

    async def rank(self, question: LiveQuestion) -> LiveAnswer:
        """See `LiveClient.rank`."""
        answer: LiveAnswer = await _answer(self._handle.rank.remote(question))
        return answer

    async def reasons(self, question: LiveQuestion, items: tuple[int, ...]) -> list[dict[str, Any]]:
        """See `LiveClient.reasons`."""
        found: list[dict[str, Any]] = await _answer(self._handle.reasons.remote(question, items))
        return found

    async def status(self) -> dict[str, Any]:
        """See `LiveClient.status`."""
        found: dict[str, Any] = await _answer(self._handle.status.remote())
        return found


async def _answer(response: Any) -> Any:
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise
    except Exception as error:
        reason = next((str(one) for one in (error, error.__cause__) if isinstance(one, LiveError)), "")
        raise LiveError(reason or type(error).__name__) from error
