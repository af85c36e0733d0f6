"""What a variant answers from: a snapshot, mapped and verified, and the names of what it was made with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from semconv.artifacts import ItemTokens, Recommender, Run, TopKSnapshot, check_lineage
from semconv.artifacts.snapshot_store import located
from semconv.config.serve import VariantSettings
from serve.catalogue import Catalogue
from serve.experiments import variant_of


@dataclass(frozen=True)
class Bundle:
    """One version of everything that an answer is made from; a request takes one and uses nothing else."""

    variant: str
    run: Run
    snapshot: TopKSnapshot
    catalogue: Catalogue

    @property
    def model(self) -> str:
        """Fingerprint of the model behind the snapshot."""
        return self.snapshot.manifest.lineage[Recommender.kind]

    def versions(self, model: str | None) -> dict[str, str | None]:
        """What an answer says of where it came from; ``model`` is None where none took part."""
        return {"snapshot": self.snapshot.fingerprint, "model": model, "variant": self.variant}


@dataclass(frozen=True)
class Served:
    """All that is answered from at one time: bundles by variant, the main one first, and who gets which."""

    bundles: Mapping[str, Bundle]
    shares: Mapping[str, float]
    salt: str

    @property
    def main(self) -> Bundle:
        """What everybody is answered from who is in no experiment."""
        return next(iter(self.bundles.values()))

    @property
    def k(self) -> int:
        """Most items that a request can ask for, whatever variant answers it."""
        return min(bundle.snapshot.k for bundle in self.bundles.values())

    def of(self, user_id: str) -> Bundle:
        """The user's bundle, the same one at every request."""
        if len(self.bundles) == 1:
            return self.main
        return self.bundles.get(variant_of(user_id, self.salt, self.shares), self.main)

    def __iter__(self) -> Iterator[Bundle]:
        return iter(self.bundles.values())


def open_bundle(variant: VariantSettings, cache: Path) -> Bundle:
    """Open what a variant names, as `open_snapshot` does, with its catalogue."""
    return _bundle(variant, open_snapshot(run_of(variant), variant.snapshot, cache))


def open_kept(variant: VariantSettings, cache: Path) -> Bundle:
    """Open what was served before, as it was then: the variant's run may have another model by now, or be gone."""
    return _bundle(variant, _copied(run_of(variant), variant.snapshot, cache))


def open_snapshot(run: Run, snapshot: str | None, cache: Path) -> TopKSnapshot:
    """The snapshot of this name, or the run's own: a verified copy in ``cache``, mapped.

    Blocks for as long as reading every byte of it takes. Raises `ArtifactError` when an artifact is absent or damaged,
    or when the snapshot was not made with the run's model and tokens.
    """
    opened = _copied(run, snapshot, cache)
    check_lineage([opened, *(kind.open(run.artifact(kind.kind)) for kind in (ItemTokens, Recommender))])
    return opened


def _copied(run: Run, snapshot: str | None, cache: Path) -> TopKSnapshot:
    return TopKSnapshot.open(located(snapshot or run.place(TopKSnapshot.kind), cache, own=True))


def _bundle(variant: VariantSettings, snapshot: TopKSnapshot) -> Bundle:
    catalogue = Catalogue(snapshot)
    _ = catalogue.by_popularity, catalogue.rules  # what the last rungs need, before a request does
    return Bundle(variant.name, run_of(variant), snapshot, catalogue)


def run_of(variant: VariantSettings) -> Run:
    """The run that a variant names by its folder or URI."""
    return Run.at(variant.run)
