"""The Ray Serve application.

serve deploy serve/config.yaml
serve run serve.app:app run=/shared/runs/demo
python -m serve.run --config configs/demo.yaml
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.serve import Application
from ray.serve.schema import LoggingConfig

from semconv.recommend.load import open_recommender
from serve.args import Args, open_snapshot
from serve.gateway import Gateway
from serve.live import Live, Opener

LOGGING = LoggingConfig(log_level="WARNING", enable_access_log=False)


def app(args: Mapping[str, Any]) -> Application:
    """Build the application from the ``args`` of a Serve config; see `Args` for what they may be.

    Raises `ArtifactError` when the run's artifacts are absent or do not belong together.
    """
    return application(Args.model_validate(args))


def application(args: Args, opener: Opener = open_recommender) -> Application:
    """The ingress with the live model behind it; ``opener`` opens that model in a replica."""
    open_snapshot(args)
    chosen = args.serve
    live = Live.options(
        num_replicas=chosen.live_replicas,
        max_ongoing_requests=2 * chosen.live_batch_size,
        max_queued_requests=chosen.live_queue,
        graceful_shutdown_wait_loop_s=0.2,
        graceful_shutdown_timeout_s=5,
        logging_config=LOGGING,
    )
    gateway = Gateway.options(
        num_replicas=chosen.replicas,
        max_ongoing_requests=1000,
        ray_actor_options={"num_cpus": 0.5},
        graceful_shutdown_wait_loop_s=0.2,
        graceful_shutdown_timeout_s=5,
        logging_config=LOGGING,
    )
    return gateway.bind(args, live.bind(args, opener))
