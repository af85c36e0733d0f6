"""What a replica serves, changed while it answers: opened and verified beside what is there, then swapped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from semconv.config.serve import VariantSettings
from semconv.errors import ArtifactError, SemconvError
from serve.args import Variants
from serve.bundle import Bundle, Served, open_bundle, open_kept
from serve.last_good import LastGood
from serve.questions import LiveClient, LiveError
from serve.service import Service

LIVE_S = 30.0
"""Longest that a swap waits for the live model to have it too; without that the ladder's other rungs answer."""
LOOK_S = 0.2

log = logging.getLogger("ray.serve")

Opener = Callable[[VariantSettings, Path], Bundle]


class Changeover:
    """Of one ingress replica. `to` never raises: what cannot be served changes nothing, and is told in `told`."""

    def __init__(
        self,
        service: Service,
        live: LiveClient,
        last_good: LastGood,
        *,
        salt: str,
        cache: Path,
        opener: Opener = open_bundle,
        kept_opener: Opener = open_kept,
    ) -> None:
        """``kept_opener`` opens what was served before."""
        self._service = service
        self._live = live
        self._last_good = last_good
        self._salt = salt
        self._cache = cache
        self._opener = opener
        self._kept_opener = kept_opener
        self._turn = asyncio.Lock()
        self._asked: Mapping[str, Any] | None = None
        self._served: Variants | None = None
        self._since: str | None = None
        self._refused: dict[str, Any] | None = None

    @property
    def told(self) -> dict[str, Any]:
        """``since`` when it serves what it serves, and the last ``refused`` change, if there was one."""
        return {"since": self._since, "refused": self._refused}

    @property
    def outcome(self) -> dict[str, Any]:
        """What it was ``asked`` for last, what came of it: ``served``, with its ``versions``, and last ``refused``."""
        served = self._service.served
        versions = {bundle.variant: bundle.versions(bundle.model) for bundle in served} if served else {}
        return {
            "asked": self._asked,
            "served": self._served.as_json() if self._served else None,
            "versions": versions,
            "refused": self._refused,
        }

    async def to(self, config: Mapping[str, Any]) -> None:
        """Serve what a ``user_config`` names; at the start, what was served last if that cannot be."""
        async with self._turn:
            try:
                variants = Variants.model_validate(config)
                if variants != self._served:
                    await self._change(variants, config)
            except Exception as error:
                self._refuse(config, error)
                if self._service.served is None:
                    await self._return()
            self._asked = config

    def require(self) -> None:
        """Raise `ArtifactError` while there is nothing to answer from."""
        if self._service.served is None:
            reason = self._refused["reason"] if self._refused else "nothing was asked for"
            raise ArtifactError(f"There is nothing to serve: {reason}", "Make what was asked for, or ask for another")

    async def _change(self, variants: Variants, config: Mapping[str, Any]) -> None:
        served = await asyncio.to_thread(self._open, variants, self._opener)
        if self._service.served is not None:
            await self._meet_live(served, config)
        await self._serve(variants, served)

    async def _serve(self, variants: Variants, served: Served) -> None:
        await self._service.swap(served)
        self._served, self._since = variants, _now()
        await self._remember(variants, served)

    def _open(self, variants: Variants, opener: Opener) -> Served:
        bundles = {variant.name: opener(variant, self._cache) for variant in variants.variants}
        return Served(bundles, variants.shares, self._salt)

    async def _meet_live(self, served: Served, config: Mapping[str, Any]) -> None:
        """Wait until the live model can answer for this too, or is not there.

        Raises `ArtifactError` where it says that it cannot; what it says of other configs may be about an earlier one.
        """
        wanted = {bundle.snapshot.fingerprint for bundle in served}
        with suppress(LiveError, TimeoutError):
            async with asyncio.timeout(LIVE_S):
                while True:
                    status = await self._live.status()
                    if wanted <= status["model"].keys():
                        return
                    if (refused := status["refused"]) and refused["wanted"] == config:
                        raise ArtifactError(
                            f"The live model cannot answer for it: {refused['reason']}", "Ask for what it can open"
                        )
                    await asyncio.sleep(LOOK_S)

    async def _return(self) -> None:
        """Serve the latest of what was served before that can still be."""
        for variants in await asyncio.to_thread(self._last_good.read):
            try:
                await self._serve(variants, await asyncio.to_thread(self._open, variants, self._kept_opener))
            except Exception as error:
                log.warning("what was served before cannot be served either: %s", _reason(error))
            else:
                return

    async def _remember(self, variants: Variants, served: Served) -> None:
        """For a restart: this node's own copies, which are there when a folder or a store no longer is."""
        copies = [
            one.model_copy(update={"snapshot": str(served.bundles[one.name].snapshot.path)})
            for one in variants.variants
        ]
        try:
            await asyncio.to_thread(self._last_good.write, Variants(variants=tuple(copies), at=variants.at))
        except OSError as error:
            log.warning("a restart will not know what is served now: %s", error)

    def _refuse(self, config: Mapping[str, Any], error: Exception) -> None:
        log.warning("refused to change what is served: %s", _reason(error))
        self._refused = {"at": _now(), "reason": _reason(error), "wanted": config}


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, SemconvError) else f"{type(error).__name__}: {error}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
