"""What the service is told: the run it serves and how; read from ``args`` of serve/config.yaml or from settings."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from semconv.artifacts import ItemTokens, Recommender, Run, TopKSnapshot, check_lineage
from semconv.config import Positive, Section, ServeSettings, Settings


class Args(Section):
    """Arguments of `serve.app.app`; ``serve.host`` and ``serve.port`` are the proxy's, set where Serve is started."""

    run: Path = Field(description="folder of the run, <run.root>/<run.name>; absolute where the cluster has many nodes")
    threads: Positive = Field(2, description="compute threads of a live replica")
    serve: ServeSettings = Field(ServeSettings(), description="limits and sizes, as in the settings file")

    @classmethod
    def of(cls, settings: Settings) -> Args:
        """The arguments that serve the run of these settings."""
        path = Run(settings.run.root, settings.run.name).path.absolute()
        return cls(run=path, threads=settings.ray.threads, serve=settings.serve)

    @property
    def folders(self) -> Run:
        """Where the run's artifacts lie."""
        return Run(str(self.run.parent), self.run.name)


def open_snapshot(args: Args) -> TopKSnapshot:
    """The run's snapshot; raises `ArtifactError` when it or the model is absent, or they do not belong together."""
    folders = args.folders
    snapshot = TopKSnapshot.open(folders.artifact(TopKSnapshot.kind))
    parents = [kind.open(folders.artifact(kind.kind)) for kind in (ItemTokens, Recommender)]
    check_lineage([snapshot, *parents])
    return snapshot
