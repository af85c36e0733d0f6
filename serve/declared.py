"""The application as Ray Serve's declarative config names it: deployed once, and changed in place afterwards.

Serve rebuilds an application whose ``args`` or ``runtime_env`` changed, with new replicas. What is served is therefore
the deployments' ``user_config``: another one reaches the replicas that are there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from ray import serve
from ray.serve.config import HTTPOptions, ProxyLocation
from ray.serve.context import _get_global_client
from ray.serve.exceptions import RayServeException
from ray.serve.schema import ApplicationStatus, ServeApplicationSchema, ServeDeploySchema

from semconv.errors import ResourceError
from serve.app import LOGGING
from serve.args import Args, Variants, base_url
from serve.starting import LOOK_S, wait_until_ready, wait_until_running

NAME = "semconv"
DEPLOYMENTS = ("Gateway", "Live")
"""Both follow the same ``user_config``."""


def declared(args: Args, variants: Variants, environment: Mapping[str, str]) -> ServeApplicationSchema:
    """The application that serves ``variants``; ``environment``: what its processes do not inherit from their node."""
    config: dict[str, Any] = {
        "name": NAME,
        "route_prefix": "/",
        "import_path": "serve.app:app",
        "args": args.model_dump(mode="json"),
        "deployments": [{"name": name, "user_config": variants.as_json()} for name in DEPLOYMENTS],
    }
    if environment:
        config["runtime_env"] = {"env_vars": dict(environment)}
    return ServeApplicationSchema.model_validate(config)


def start(application: ServeApplicationSchema, host: str, port: int, environment: Mapping[str, str]) -> None:
    """Start Serve, if it does not run yet, and the application; returns when that answers there.

    ``environment``: what processes of Serve itself do not inherit from their node. Raises `ResourceError` where the
    application does not start, or does not answer.
    """
    controller = {"runtime_env": {"env_vars": dict(environment)}}
    with ThreadPoolExecutor(1) as beside:
        proxies = beside.submit(
            serve.start,
            proxy_location=ProxyLocation.HeadOnly,
            http_options=HTTPOptions(host=host, port=port),
            controller_options=controller,
            logging_config=LOGGING,
        )
        while not (proxies.done() or _is_there()):
            time.sleep(LOOK_S)
        deploy(application)  # it is built while the proxies start
        proxies.result()
    wait_until_running(status)
    wait_until_ready(base_url(host, port))


def deploy(application: ServeApplicationSchema) -> None:
    """Ask Serve for the application; returns at once. Other declared applications, which Serve would end, stay."""
    others = [config for name, config in _declared().items() if name != application.name]
    _client().deploy_apps(ServeDeploySchema(applications=[*others, application]))


def change(variants: Variants) -> Variants:
    """Ask the running application for other variants; gives those it was asked for before.

    Raises `ResourceError` where no application was declared.
    """
    application = _declared().get(NAME)
    if application is None:
        raise ResourceError(
            f"This cluster has no declared application '{NAME}'",
            "Start the service with python -m serve.run, or serve deploy serve/config.yaml",
        )
    config = application.model_dump(exclude_unset=True)
    deployments = {deployment["name"]: deployment for deployment in config.get("deployments", [])}
    before = deployments.get(DEPLOYMENTS[0], {}).get("user_config")
    for name in DEPLOYMENTS:
        deployments.setdefault(name, {"name": name})["user_config"] = variants.as_json()
    deploy(ServeApplicationSchema.model_validate(config | {"deployments": list(deployments.values())}))
    return Variants.model_validate(before) if before else Args.model_validate(application.args).variants


def end(*, everything: bool) -> None:
    """End the application, or with ``everything`` Serve itself; after its requests, so that nobody's is cut off."""
    if everything:
        serve.shutdown()
    else:
        serve.delete(NAME)


def status() -> tuple[ApplicationStatus, str]:
    """How the application is and, where it failed, why."""
    found = serve.status().applications.get(NAME)
    if found is None:
        return ApplicationStatus.NOT_STARTED, ""
    reasons = [found.message, *(deployment.message for deployment in found.deployments.values())]
    return found.status, "\n".join(reason for reason in reasons if reason)


def _declared() -> dict[str, ServeApplicationSchema]:
    """Every application that was deployed declaratively, by name."""
    applications = _client().get_serve_details()["applications"]
    configs = {name: details["deployed_app_config"] for name, details in applications.items()}
    return {name: ServeApplicationSchema.model_validate(config) for name, config in configs.items() if config}


def _is_there() -> bool:
    with suppress(ResourceError):
        return _client() is not None
    return False


def _client() -> Any:
    """Serve's own client, which the REST API of declarative deployment uses too; the dashboard need not run for it."""
    try:
        return _get_global_client()
    except RayServeException:
        raise ResourceError(
            "This cluster runs no Ray Serve", "Start the service with python -m serve.run, or serve deploy"
        ) from None
