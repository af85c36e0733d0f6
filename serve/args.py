"""What the service is told: how it runs, fixed while it does, and what it serves, which a swap changes."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from semconv.artifacts import Run, TopKSnapshot
from semconv.artifacts.mirror import uri_of
from semconv.artifacts.release import located_release
from semconv.artifacts.snapshot_store import CURRENT, SnapshotStore
from semconv.config import Positive, Section, ServeSettings, Settings
from semconv.config.serve import VariantSettings
from semconv.errors import SettingError
from serve.experiments import MAIN, check_shares

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where this machine reaches what listens on every address."""


class Args(Section):
    """Arguments of `serve.app.app`, from ``args`` of serve/config.yaml or from settings.

    ``serve.port`` is the proxy's, set where Serve is started; so is ``serve.host``, which is named here too so that a
    service for other machines is refused without keys.
    """

    run: Path = Field(
        description="folder or URI of the run, <run.root>/<run.name>; absolute where the cluster has many nodes"
    )
    threads: Positive = Field(2, description="compute threads of a live replica")
    serve: ServeSettings = Field(ServeSettings(), description="limits and sizes, as in the settings file")

    @field_validator("run", mode="before")
    @classmethod
    def _in_its_mirror(cls, run: Any) -> Any:
        return Run.at(run).path if isinstance(run, str) and "://" in run else run

    @classmethod
    def of(cls, settings: Settings) -> Args:
        """The arguments that serve the run of these settings."""
        path = Run.of(settings.run).path.absolute()
        return cls(run=path, threads=settings.ray.threads, serve=settings.serve)

    @property
    def state(self) -> Path:
        """Folder of what outlives a restart; raises `SettingError` where it would be in a mirror, which is a cache."""
        if self.serve.state is None and uri_of(self.run) is not None:
            raise SettingError(
                f"The run lies at {Run.at(str(self.run)).shown}, and serve.state names no folder for events",
                "Give --serve.state a folder of this machine that lasts",
            )
        return Path(self.serve.state).absolute() if self.serve.state else self.run / ".serve"

    def make_state(self) -> None:
        """Make that folder, for its owner alone: ids of users lie there. One that is there stays as it is."""
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def cache(self) -> Path:
        """Node-local folder for snapshots of a store."""
        return Path(self.serve.cache).absolute() if self.serve.cache else self.state / "cache"

    @property
    def variants(self) -> Variants:
        """What these arguments ask to serve: the run, or a release, for everybody whom no experiment claims."""
        run, snapshot = str(self.run), self.serve.snapshot
        if self.serve.release is not None:
            released = located_release(self.serve.release)
            run, snapshot = released.run, released.snapshot
        elif snapshot is None and uri_of(self.run) is not None:
            snapshot = Run.at(run).place(TopKSnapshot.kind)
        main = VariantSettings(name=MAIN, run=run, snapshot=snapshot)
        return Variants(variants=(main, *self.serve.variants))

    def check(self, host: str | None = None) -> None:
        """Raise `SettingError` for a service that other machines could reach and nobody needs a key for.

        ``host``: where it listens, if that is known from elsewhere than from the settings.
        """
        host = host or self.serve.host
        if self.serve.keys is None and not is_loopback(host):
            raise SettingError(
                f"The service listens on {host}, which other machines can reach, and serve.keys is not set",
                "Make a key file with python -m serve.keys and name it as serve.keys, or leave serve.host at 127.0.0.1",
            )


class Variants(Section):
    """``user_config`` of both deployments: what is served, the main variant first."""

    variants: tuple[VariantSettings, ...] = Field(min_length=1)
    at: str = Field("", description="when it was asked for: another time has a folder that has changed looked at again")

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [variant.name for variant in self.variants]
        if names[0] != MAIN or len(set(names)) < len(names):
            raise ValueError(f"variants must begin with '{MAIN}', and each needs a name of its own; these are {names}")
        check_shares(self.shares)
        return self

    @property
    def shares(self) -> dict[str, float]:
        """Part of the users (0 to 1) by variant, in order."""
        return {variant.name: variant.share for variant in self.variants}

    def pinned(self) -> Variants:
        """These with the version that each store has current now, so that whoever opens them opens the same."""
        fixed = [one.model_copy(update={"snapshot": one.snapshot and pinned(one.snapshot)}) for one in self.variants]
        return self.model_copy(update={"variants": tuple(fixed)})

    def as_json(self) -> dict[str, Any]:
        """As `model_validate` reads it again."""
        return self.model_dump(mode="json")


def pinned(where: str) -> str:
    """What `located` takes, naming a version where it is a store; raises `ArtifactError` for an empty store."""
    if "#" in where or not ("://" in where or (Path(where) / CURRENT).is_file()):
        return where
    return f"{where}#{SnapshotStore.open(where).chosen(None)}"


def base_url(host: str, port: int) -> str:
    """Where this machine reaches a service that listens there."""
    name = ANYWHERE.get(host, host)
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
