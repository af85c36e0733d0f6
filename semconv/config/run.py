"""Where a run lives, and the cluster it runs on."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import model_validator

from semconv.config.leaves import Positive, Section, operational, setting

RELEASES = "releases"
"""The folder beside the runs of a root that `release.store` is where it is not set."""


class RunSettings(Section):
    """Where a run lives and what it redoes."""

    root: str = operational(
        "runs", "folder or URI (s3://bucket/path) that holds runs; a submitted job needs an absolute path or a URI"
    )
    mirror: str | None = operational(
        None, "folder on every node for its copies of runs at a URI; none keeps them in the user's cache"
    )
    name: str = operational("demo", "name of the run; its output goes to <run.root>/<run.name>", pattern=r"^\w[\w.-]*$")
    parent: str | None = operational(
        None, "run under the same root whose tokens this one continues (tokenize.append)", pattern=r"^\w[\w.-]*$"
    )
    seed: int = setting(17, "seed of everything random", ge=0)
    force: bool = operational(False, "redo stages that are up to date")
    until: Literal["ingest", "embed", "base", "tokenize", "examples", "align", "converge", "evaluate", "precache"] = (
        operational("precache", "last stage to run")
    )

    @model_validator(mode="after")
    def _is_not_the_folder_of_releases(self) -> RunSettings:
        if self.name == RELEASES:
            raise ValueError(f"run.name is '{RELEASES}', which is where the releases of run.root lie")
        return self


class RaySettings(Section):
    """The cluster the work runs on."""

    address: str | None = operational(None, "cluster to join; none starts one on this machine")
    num_cpus: Positive = operational(4, "logical CPUs of a cluster started here (bookkeeping, not cores)")
    threads: Positive = operational(
        2, "compute threads of each worker process; on a cluster started here at most its share of the machine's cores"
    )
    wait_s: float = operational(
        0.0, "seconds that a cluster which starts nodes by itself is given for the CPUs and GPUs a stage lacks", ge=0
    )
    verbose: bool = operational(False, "show Ray's own log lines")

    @property
    def joined(self) -> str | None:
        """The address of the cluster that the work joins; none where one is started here."""
        return self.address or os.environ.get("RAY_ADDRESS") or None
