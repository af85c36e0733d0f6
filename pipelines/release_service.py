"""What a release asks of the service, by the service's own commands: pipelines know nothing of it otherwise."""

from __future__ import annotations

import subprocess
import sys
import tempfile

import yaml

from semconv.config import Settings
from semconv.errors import ResourceError


def swap(settings: Settings, release: str) -> str:
    """Have the running service serve a release, ``PLACE#NAME``; `ResourceError` where it refuses or is absent."""
    serve = settings.serve.model_copy(update={"release": release, "snapshot": None})
    return _command("serve.swap", settings.model_copy(update={"serve": serve}))


def export_events(settings: Settings, folder: str) -> str:
    """Write the service's events to a folder; raises `ResourceError` where there are none to be had."""
    return _command("serve.events", settings, "export", "--out", folder)


def _command(module: str, settings: Settings, *arguments: str) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        yaml.safe_dump(settings.model_dump(mode="json"), config)
        config.flush()
        command = [sys.executable, "-m", module, *arguments, "--config", config.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise ResourceError(
            f"python -m {module} ended with {done.returncode}: {said[-1] if said else 'without a word'}",
            "Mend that and do it again, or do it without release.service",
        )
    return done.stdout.strip()
