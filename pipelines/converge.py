"""Converge: what all systems know of validation users' candidates is gathered on actors, and blends are fitted on it.

python -m pipelines.converge --config configs/beauty.yaml
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import ray.data
import torch
from torch.nn.utils.rnn import pad_sequence

from pipelines.actors import Pool
from pipelines.cluster import sharing_cores
from pipelines.stage import Stage, Work, run_stages
from semconv.artifacts import Convergence, Corpus, ItemTokens, ItemVectors, Recommender, Run, Split
from semconv.artifacts.blend import FILE
from semconv.behaviour.store import Behaviour
from semconv.behaviour.training import sample
from semconv.cli import main
from semconv.config import ConvergeSettings, Settings
from semconv.errors import ArtifactError
from semconv.recommend.blend_fitting import Lesson, joined
from semconv.recommend.convergence import CONVERGED, STEERED, WITHOUT_GENERATIVE, converge, steer
from semconv.recommend.evidence import Evidence, Source, gather, source_name, source_of
from semconv.recommend.load import Opened
from semconv.recommend.ranker import NO_ITEM
from semconv.recommend.steered import steered_sources
from semconv.recommend.wish import FEATURES as WISH_FEATURES
from semconv.recommend.wish import WishSource
from semconv.recommend.wish_simulation import WishSimulation


@dataclass(frozen=True)
class Asked:
    """Users to gather evidence of, and what each of them wishes, in words; None where nobody wishes anything."""

    split: Split
    wishes: list[str] | None = None

    @classmethod
    def without_wishes(cls, corpus: Corpus, settings: Settings) -> Asked:
        """The fixed sample of validation users that blends are fitted on."""
        return cls(sample(corpus.split("valid"), settings.converge.users, np.random.default_rng(settings.run.seed)))

    @classmethod
    def with_wishes(cls, corpus: Corpus, settings: Settings) -> Asked:
        """A sample of those, each wishing for what they took next; without those whose item has no words."""
        seed = settings.run.seed
        among = cls.without_wishes(corpus, settings).split
        split = sample(among, settings.converge.wish_users, np.random.default_rng(seed))
        wishes = WishSimulation(corpus.items).wishes(split.targets, seed)
        rows = np.flatnonzero([bool(wish) for wish in wishes])
        kept = Split(split.users[rows], split.histories.take(rows), split.targets[rows])
        return cls(kept, [wishes[row] for row in rows])


class GatherEvidence:
    """An actor's work: the systems are opened with the first batch, so that what is wrong with them can be read."""

    def __init__(self, run: Run, settings: Settings, wished: bool) -> None:
        torch.set_num_threads(settings.ray.threads)
        self._run = run
        self._settings = settings
        self._wished = wished

    @cached_property
    def _opened(self) -> Opened:
        return Opened(self._run)

    @cached_property
    def _sources(self) -> list[Source]:
        chosen = self._settings.recommend
        return self._opened.sources(chosen.beams, chosen.precision)

    @cached_property
    def _wishes(self) -> WishSource:
        return self._opened.wishes()

    @cached_property
    def _asked(self) -> Asked:
        make = Asked.with_wishes if self._wished else Asked.without_wishes
        return make(self._opened.corpus, self._settings)

    def __call__(self, batch: dict[str, npt.NDArray[np.int64]]) -> dict[str, npt.NDArray[np.generic]]:
        """Evidence of the users at rows ``id`` of those asked, flattened to a row each."""
        candidates, sources = self._settings.recommend.candidates, self._sources
        if self._asked.wishes is not None:
            wishes = [self._asked.wishes[row] for row in batch["id"]]
            sources = steered_sources(sources, self._wishes, wishes, candidates)
        found = gather(sources, list(self._asked.split.histories.take(batch["id"])), candidates)
        return {
            "row": batch["id"],
            "items": found.items_BM.numpy(),
            "features": found.features_BMF.flatten(1).numpy(),
            "proposed": found.proposed_BMS.flatten(1).numpy(),
        }


def build(work: Work) -> None:
    """Gather evidence, fit the blends, and write them with what they reach on users they were not fitted on."""
    settings, corpus = work.settings, work.input(Corpus)
    if settings.converge.blends_of is not None:
        _take_over(work, _other(settings))
        return
    asked = Asked.without_wishes(corpus, settings)
    users = len(asked.split.users)
    if users == 0:
        raise ArtifactError(
            f"{corpus.path} has no validation users to fit a blend on", "Use a corpus with longer histories"
        )
    found = _fitted(work, asked, converge)
    reached = found["validation"]
    said = {name: reached[name] for name in (CONVERGED, WITHOUT_GENERATIVE)}
    wishing = Asked.with_wishes(corpus, settings)
    if wishing.wishes:
        steered = _fitted(work, wishing, steer)
        found["blends"][STEERED] = steered["blend"]
        reached["steering"] = steered["validation"]
        said[STEERED] = reached["steering"][STEERED]
    (work.out("blend") / FILE).write_text(json.dumps(found, indent=1) + "\n")
    work.count("blend", users=users, validation=reached)
    for name, (recall, ndcg) in said.items():
        work.line.say(f"{name} recall@10 {recall:.4f} ndcg@10 {ndcg:.4f}, valid, on users it was not fitted on")


def _take_over(work: Work, blends: Convergence) -> None:
    """The blends of another run; what they reach is told there."""
    (work.out("blend") / FILE).write_text(json.dumps({"blends": blends.blends, "validation": {}}, indent=1) + "\n")
    work.line.say(f"blends taken over from {blends.path}")


def _other(settings: Settings) -> Convergence:
    """What is taken over; raises `ArtifactError` where it is absent."""
    return Convergence.open(Run.of(settings.run, settings.converge.blends_of).artifact(Convergence.kind))


def _fingerprint_of_other(settings: Settings) -> dict[str, str]:
    return {} if settings.converge.blends_of is None else {"blends": _other(settings).fingerprint}


def _fitted(work: Work, asked: Asked, fit: Callable[[Lesson, ConvergeSettings, int], dict[str, Any]]) -> dict[str, Any]:
    """What is fitted on the evidence of those asked, which is gone from memory afterwards."""
    lesson, users = _gathered(work, asked), len(asked.split.users)
    work.line(users, users, "fitting the blend")
    return fit(lesson, work.settings.converge, work.settings.run.seed)


def _gathered(work: Work, asked: Asked) -> Lesson:
    wished = asked.wishes is not None
    sources = Opened(work.run).sources(work.settings.recommend.beams, work.settings.recommend.precision)
    names = (*map(source_name, sources), *([source_of(WISH_FEATURES[0])] if wished else []))
    features = (*(name for source in sources for name in source.features), *(WISH_FEATURES if wished else ()))
    chosen, users = work.settings.converge, len(asked.split.users)
    pool = Pool.of(work.room, "converge.workers", chosen.workers)
    work.line(0, users, "opening the systems")
    blocks = ray.data.range(users, override_num_blocks=math.ceil(users / chosen.batch_size)).map_batches(
        GatherEvidence,
        batch_size=chosen.batch_size,
        fn_constructor_kwargs={
            "run": work.run.absolute(),
            "settings": sharing_cores(work.settings, chosen.workers),
            "wished": wished,
        },
        **pool.arguments,
    )
    lessons: dict[int, Lesson] = {}
    done = 0
    for block in blocks.iter_batches(batch_size=None, batch_format="numpy"):
        rows = block["row"]
        evidence = Evidence(
            names,
            features,
            _widened(block["items"], NO_ITEM),
            _widened(block["features"], 0.0).unflatten(1, (-1, len(features))),
            _widened(block["proposed"], False).unflatten(1, (-1, len(names))),
        )
        histories = list(asked.split.histories.take(rows))
        lessons[int(rows[0])] = Lesson(evidence, asked.split.targets[rows], histories)
        done += len(rows)
        work.line(done, users, f"looked at {done:,} of {users:,} users" + (" with a wish" if wished else ""))
    if done != users:
        raise AssertionError(f"{done} users were looked at, not {users}")
    return joined([lessons[first] for first in sorted(lessons)])


def _widened(rows: npt.NDArray[np.generic], fill: float) -> torch.Tensor:
    """Rows as one tensor; a block may hold batches of different widths."""
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=fill)


STAGE = Stage(
    name="converge",
    makes=("blend",),
    needs=(Corpus, ItemVectors, Behaviour, ItemTokens, Recommender),
    reads=("converge", "recommend.beams", "recommend.candidates", "recommend.precision"),
    code=4,
    build=build,
    raw=_fingerprint_of_other,
)


def run(settings: Settings) -> None:
    """Run this stage alone."""
    run_stages(settings, (STAGE,))


if __name__ == "__main__":
    main(run, "pipelines.converge")
