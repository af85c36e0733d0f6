"""The models that a live replica holds: one for each snapshot that is served, or was before."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from semconv.artifacts import Recommender, TopKSnapshot
from semconv.artifacts.arrow_files import matrix_of
from semconv.artifacts.ragged import NO_ITEM, Int32
from semconv.config import RecommendSettings
from semconv.config.serve import VariantSettings
from semconv.errors import SemconvError
from semconv.recommend.ranker import Ranker
from serve.args import Variants
from serve.bundle import open_snapshot, run_of
from serve.catalogue import Catalogue
from serve.last_good import LastGood
from serve.questions import LiveAnswer, LiveError, LiveQuestion
from serve.rankers import Opener, Rankers

log = logging.getLogger("ray.serve")


class Model:
    """Ranks as a snapshot was ranked: the same system, length, rules and filter."""

    def __init__(self, snapshot: TopKSnapshot, rankers: Rankers) -> None:
        self.fingerprint = snapshot.manifest.lineage[Recommender.kind]
        self.rankers = rankers
        self._snapshot = snapshot
        self._catalogue = Catalogue(snapshot)

    def rank(self, questions: Sequence[LiveQuestion]) -> list[LiveAnswer]:
        """The best items of each, all with a wish or all without; raises `LiveError` as `Rankers.steered` does."""
        histories = [np.asarray(question.history, np.int32) for question in questions]
        exclude = [self._barred(*asked) for asked in zip(questions, histories, strict=True)]
        barred = exclude if any(map(len, exclude)) else None
        if questions[0].wish:
            wishes = [question.wish for question in questions]
            ranking = self.rankers.steered.rank(histories, self._snapshot.kept, exclude=barred, wishes=wishes)
        else:
            ranking = self.rankers.ranker.rank(histories, self._snapshot.kept, exclude=barred)
        lengths = np.minimum((ranking.items != NO_ITEM).sum(axis=1), [question.k for question in questions])
        return [
            LiveAnswer(items[:length].tolist(), scores[:length].tolist(), self.fingerprint)
            for items, scores, length in zip(ranking.items, ranking.scores, lengths, strict=True)
        ]

    def reasons(self, question: LiveQuestion, items: Sequence[int]) -> list[dict[str, Any]]:
        """See `serve.questions.LiveClient.reasons`; raises `LiveError` as `Rankers.steered` does."""
        from semconv.recommend.reasons import reasons

        ranker: Ranker = self.rankers.steered if question.wish else self.rankers.ranker
        history = np.asarray(question.history, np.int32)
        try:
            found = reasons(
                ranker,
                self._codes,
                history,
                np.asarray(items, np.int32),
                question.k,
                exclude=self._barred(question, history),
                wish=question.wish,
            )
        except SemconvError as error:
            raise LiveError(str(error)) from None
        return [asdict(reason) for reason in found]

    def _barred(self, question: LiveQuestion, history: Int32) -> Int32:
        """Items that may not be in the answer, int32."""
        seen = history if self._catalogue.filter_seen else history[:0]
        others = [np.asarray(question.exclude, np.int32)]
        if question.category or question.brand:
            others.append(np.flatnonzero(~self._catalogue.matching(question.category, question.brand)).astype(np.int32))
        return np.unique(np.concatenate([seen, *others]))

    @cached_property
    def _codes(self) -> Int32:
        """Codes of all items, int32 (N, L)."""
        return matrix_of(self._snapshot.catalogue["codes"])


class Models:
    """By the fingerprint of their snapshot. What cannot be opened changes nothing, and is told in `status`."""

    def __init__(self, cache: Path, opener: Opener, last_good: LastGood | None = None) -> None:
        """``cache``: where snapshots are copied to."""
        self._cache = cache
        self._opener = opener
        self._last_good = last_good
        self._served: Mapping[str, Model] = {}
        self._before: Mapping[str, Model] = {}
        self._rankers: dict[str, Rankers] = {}
        self._refused: dict[str, Any] | None = None

    def of(self, snapshot: str) -> Model:
        """The model behind the snapshot of this fingerprint; raises `LiveError` for one that is not held."""
        model = self._served.get(snapshot) or self._before.get(snapshot)
        if model is None:
            raise LiveError(f"no model is open for the snapshot {snapshot[:12]}")
        return model

    def open(self, user_config: Mapping[str, Any]) -> None:
        """Open what the `Variants` name beside what is served, which is kept once more then; one call at a time.

        Never raises: what cannot be opened changes nothing, or, where nothing is served yet, what was served before
        is opened.
        """
        try:
            self._change(Variants.model_validate(user_config))
            self._refused = None
        except Exception as error:  # whatever it is, what is served goes on being served
            log.warning("the live model does not change: %s", error)
            self._refused = {"at": time.time(), "reason": str(error), "wanted": dict(user_config)}
            if not self._served and self._last_good is not None:
                self._return(self._last_good.read())

    def _return(self, known: Sequence[Variants]) -> None:
        for variants in known:
            try:
                self._change(variants)
            except Exception as error:
                log.warning("what was served before cannot be opened either: %s", error)
            else:
                return

    def _change(self, variants: Variants) -> None:
        opened = dict(map(self._open, variants.variants))
        if opened.keys() != self._served.keys():
            self._served, self._before = opened, self._served
        held = [model.rankers for model in (*self._served.values(), *self._before.values())]
        self._rankers = {key: rankers for key, rankers in self._rankers.items() if rankers in held}

    def status(self) -> dict[str, Any]:
        """Fingerprint of the ``model`` by that of its snapshot, and what was ``refused`` last, if it still is."""
        return {"model": {name: model.fingerprint for name, model in self._served.items()}, "refused": self._refused}

    def _open(self, variant: VariantSettings) -> tuple[str, Model]:
        """A model, by the fingerprint of its snapshot; snapshots made with the same share what ranks."""
        run = run_of(variant)
        snapshot = open_snapshot(run, variant.snapshot, self._cache)
        chosen = snapshot.manifest.settings["recommend"]
        key = json.dumps([str(run.path), chosen, snapshot.manifest.lineage], sort_keys=True)
        if (known := self._rankers.get(key)) is not None:
            return snapshot.fingerprint, Model(snapshot, known)
        model = Model(snapshot, Rankers(run, RecommendSettings.model_validate(chosen), self._opener))
        model.rank([LiveQuestion(snapshot.fingerprint, (0,), snapshot.k)])  # the first answer takes longer than others
        self._rankers[key] = model.rankers
        return snapshot.fingerprint, model
