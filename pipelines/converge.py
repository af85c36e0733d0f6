"""Converge: what all systems know of validation users' candidates is gathered on actors, and blends are fitted on it.

python -m pipelines.converge --config configs/beauty.yaml
"""

from __future__ import annotations

import json
import math
from functools import cached_property

import numpy as np
import numpy.typing as npt
import ray.data
import torch
from ray.data import ActorPoolStrategy

from pipelines.cluster import require_cpus
from pipelines.stage import Stage, Work, run_stages
from semconv.artifacts import Corpus, ItemTokens, ItemVectors, Recommender, Run, Split
from semconv.artifacts.blend import FILE
from semconv.behaviour.store import Behaviour
from semconv.behaviour.training import sample
from semconv.cli import main
from semconv.config import Settings
from semconv.errors import ArtifactError
from semconv.recommend.blend_fitting import Lesson, joined
from semconv.recommend.convergence import CONVERGED, converge
from semconv.recommend.evidence import Evidence, gather, source_name
from semconv.recommend.load import Opened


class GatherEvidence:
    """An actor's work: the systems are opened with the first batch, so that what is wrong with them can be read."""

    def __init__(self, run: Run, settings: Settings) -> None:
        torch.set_num_threads(settings.ray.threads)
        self._run = run
        self._settings = settings

    @cached_property
    def _opened(self) -> Opened:
        return Opened(self._run)

    @cached_property
    def _asked(self) -> Split:
        return validation_sample(self._opened.corpus, self._settings)

    def __call__(self, batch: dict[str, npt.NDArray[np.int64]]) -> dict[str, npt.NDArray[np.generic]]:
        """Evidence of the users at rows ``id`` of the sample, flattened to a row each."""
        chosen = self._settings.recommend
        histories = list(self._asked.histories.take(batch["id"]))
        found = gather(self._opened.sources(chosen.beams), histories, chosen.candidates)
        return {
            "row": batch["id"],
            "items": found.items_BM.numpy(),
            "features": found.features_BMF.flatten(1).numpy(),
            "proposed": found.proposed_BMS.flatten(1).numpy(),
        }


def validation_sample(corpus: Corpus, settings: Settings) -> Split:
    """The fixed sample of validation users that blends are fitted on."""
    return sample(corpus.split("valid"), settings.converge.users, np.random.default_rng(settings.run.seed))


def build(work: Work) -> None:
    """Gather evidence, fit the blends, and write them with what they reach on users they were not fitted on."""
    settings = work.settings
    asked = validation_sample(work.input(Corpus), settings)
    users = len(asked.users)
    if users == 0:
        raise ArtifactError(
            f"{work.input(Corpus).path} has no validation users to fit a blend on", "Use a corpus with longer histories"
        )
    lesson = _gathered(work, asked)
    work.line(users, users, "fitting the blend")
    found = converge(lesson, settings.converge, settings.run.seed)
    (work.out("blend") / FILE).write_text(json.dumps(found, indent=1) + "\n")
    reached = found["validation"]
    work.count("blend", users=users, validation=reached)
    for name, (recall, ndcg) in {CONVERGED: reached["converged"], **_named(reached["without"])}.items():
        work.line.say(f"{name} recall@10 {recall:.4f} ndcg@10 {ndcg:.4f}, valid, on users it was not fitted on")


def _named(without: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    return {f"without {source}": figures for source, figures in without.items()}


def _gathered(work: Work, asked: Split) -> Lesson:
    sources = Opened(work.run).sources(work.settings.recommend.beams)
    names = tuple(source_name(source) for source in sources)
    features = tuple(name for source in sources for name in source.features)
    chosen, users = work.settings.converge, len(asked.users)
    require_cpus("converge.workers", chosen.workers)
    absolute = Run(str(work.run.path.parent.absolute()), work.run.path.name)
    work.line(0, users, "opening the systems")
    blocks = ray.data.range(users, override_num_blocks=math.ceil(users / chosen.batch_size)).map_batches(
        GatherEvidence,
        batch_size=chosen.batch_size,
        fn_constructor_kwargs={"run": absolute, "settings": work.settings},
        compute=ActorPoolStrategy(size=chosen.workers),
        num_cpus=1,
    )
    lessons: dict[int, Lesson] = {}
    done = 0
    for block in blocks.iter_batches(batch_size=None, batch_format="numpy"):
        rows = block["row"]
        evidence = Evidence(
            names,
            features,
            torch.tensor(block["items"]),
            torch.tensor(block["features"]).unflatten(1, (-1, len(features))),
            torch.tensor(block["proposed"]).unflatten(1, (-1, len(names))),
        )
        histories = list(asked.histories.take(rows))
        lessons[int(rows[0])] = Lesson(evidence, asked.targets[rows], histories)
        done += len(rows)
        work.line(done, users, f"looked at {done:,} of {users:,} users")
    if done != users:
        raise AssertionError(f"{done} users were looked at, not {users}")
    return joined([lessons[first] for first in sorted(lessons)])


STAGE = Stage(
    name="converge",
    makes=("blend",),
    needs=(Corpus, ItemVectors, Behaviour, ItemTokens, Recommender),
    reads=("converge", "recommend"),
    code=1,
    build=build,
)


def run(settings: Settings) -> None:
    """Run this stage alone."""
    run_stages(settings, (STAGE,))


if __name__ == "__main__":
    main(run, "pipelines.converge")
