"""The Ray Serve application.

python -m serve.run --config configs/demo.yaml
serve deploy serve/config.yaml
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.serve import Application
from ray.serve.schema import LoggingConfig

from serve.args import Args
from serve.gateway import Gateway
from serve.last_good import LastGood
from serve.live import Live

LOGGING = LoggingConfig(log_level="WARNING", enable_access_log=False)


def app(args: Mapping[str, Any]) -> Application:
    """Build the application from the ``args`` of a Serve config; see `Args` for what they may be.

    It serves what ``args`` ask for until the config's ``user_config`` asks for something else. Raises `SettingError`
    for ``serve.host`` beyond loopback without keys. What Serve listens on is ``http_options.host`` of the config, which
    nobody sees here: the replicas look at it before they answer.
    """
    chosen = Args.model_validate(args)
    chosen.check()
    settings = chosen.serve
    alike: dict[str, Any] = {
        "user_config": chosen.variants.as_json(),
        "graceful_shutdown_wait_loop_s": 0.2,
        "graceful_shutdown_timeout_s": 5,
        "logging_config": LOGGING,
    }
    live = Live.options(
        num_replicas=settings.live_replicas,
        max_ongoing_requests=2 * settings.live_batch_size,
        max_queued_requests=settings.live_queue,
        **alike,
    )
    gateway = Gateway.options(
        num_replicas=settings.replicas, max_ongoing_requests=1000, ray_actor_options={"num_cpus": 0.5}, **alike
    )
    return gateway.bind(chosen, live.bind(settings, chosen.threads, chosen.cache, LastGood(chosen.state)))
