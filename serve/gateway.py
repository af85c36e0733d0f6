"""Gateway: the ingress deployment. Its replicas answer known users themselves and ask `Live` for the others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle

from serve.api import Api
from serve.args import Args
from serve.changeover import Changeover
from serve.impressions import Impressions
from serve.ingress import mode
from serve.last_good import LastGood
from serve.logs import RequestLog
from serve.metrics import Metrics, RaySink
from serve.remote_live import RemoteLive
from serve.service import Service
from serve.state import ShopState
from serve.store import FILE, open_store
from serve.surroundings import look_around


@serve.deployment
@serve.ingress()
class Gateway:
    """Puts the HTTP API in front of a service; what that answers from is the deployment's ``user_config``."""

    def __init__(self, args: Args, live: DeploymentHandle) -> None:
        self._open = ExitStack()
        self._args, settings = args, args.serve
        args.make_state()
        store = open_store(settings.events or args.state / FILE)
        self._open.callback(store.close)
        state = ShopState(store, longest=settings.max_history)
        remote, metrics = RemoteLive(live), Metrics(RaySink())
        self._open.callback(metrics.close)
        self._impressions: Impressions | None = None
        if settings.impressions:
            self._impressions = Impressions(args.state / "impressions", settings.log_ids)
            self._open.callback(self._impressions.close)
        service = Service(state, remote, settings, self._impressions)
        self._changeover = Changeover(service, remote, LastGood(args.state), salt=settings.salt, cache=args.cache)
        self._replica = serve.get_replica_context().replica_id.unique_id
        self._changes: set[asyncio.Task[None]] = set()
        self._api = Api(
            service,
            settings,
            metrics=metrics,
            log=RequestLog(ids=settings.log_ids),
            status_extras=self._told,
            sends_ids=False,
        )
        self._service = service

    def __serve_build_asgi_app__(self) -> Api:
        return self._api

    def __del__(self) -> None:
        """Serve calls this when a replica ends in order: write what waits in memory, and let go of the files."""
        self._open.close()

    async def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        """Serve what ``user_config`` names (`Variants`). Waits for it at the start alone, and raises only then.

        Later it returns at once: Serve gives a replica no requests for as long as it waits for this.
        """
        if self._service.served is None:
            await look_around(self._args)
            await self._changeover.to(user_config)
            self._changeover.require()
            return
        change = asyncio.create_task(self._changeover.to(user_config))
        self._changes.add(change)
        change.add_done_callback(self._changes.discard)

    async def outcome(self) -> dict[str, Any]:
        """What the last change came to at this ``replica``, see `Changeover.outcome`."""
        return {"replica": self._replica, **self._changeover.outcome}

    def _told(self) -> dict[str, Any]:
        """What the status says beyond the service's own."""
        lost = {"impressions": {"lost": self._impressions.lost}} if self._impressions is not None else {}
        events = {"store": "redis" if self._args.serve.events else "sqlite"}
        return {"ingress": mode(), "replica": self._replica, "events": events, **lost, **self._changeover.told}
