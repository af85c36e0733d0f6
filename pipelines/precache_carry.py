"""What an earlier snapshot has answered already: users whose history is the same, where all else is the same too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.stage import Work
from semconv.artifacts import Ragged, TopKSnapshot, stamp_of
from semconv.artifacts.arrow_files import matrix_of
from semconv.artifacts.ragged import Int32
from semconv.config import Settings, determining
from semconv.recommend.ranker import Ranking

Stamps = npt.NDArray[np.bytes_]


def stamps_of(histories: Ragged) -> Stamps:
    """`stamp_of` every history, 16 bytes (U)."""
    return np.fromiter((stamp_of(history) for history in histories), "S16", len(histories))


def ranking_settings(settings: Settings) -> dict[str, Any]:
    """The settings that decide a user's list, beside those of the artifacts behind it."""
    kept, filter_seen = settings.precache.kept, settings.precache.filter_seen
    return {"recommend": determining(settings.recommend), "precache": {"kept": kept, "filter_seen": filter_seen}}


def changed(since: TopKSnapshot, work: Work, code: int) -> list[str]:
    """What a user's list depends on beside the history and has changed since: kinds of artifacts, settings, the code.

    ``code`` is the stage's own version now.
    """
    then, counts = since.manifest, since.manifest.counts
    kinds = [kind for kind, artifact in work.inputs.items() if then.inputs.get(kind) != artifact.fingerprint]
    settings = ranking_settings(work.settings)
    precache = {"kept": since.kept, "filter_seen": then.settings["precache"]["filter_seen"]}
    told = {"recommend": then.settings["recommend"], "precache": precache}
    names = [
        f"{section}.{name}"
        for section, chosen in settings.items()
        for name in sorted({*chosen, *told[section]})
        if chosen.get(name) != told[section].get(name)
    ]
    return kinds + names + (["the code"] if counts.get("code") != code else [])


class Carried:
    """The users of an earlier snapshot whose history has not changed, and their answers."""

    def __init__(self, since: TopKSnapshot, user_ids: pa.StringArray, stamps_U: Stamps) -> None:
        """``user_ids`` and ``stamps_U`` are of all users now, in the order of their indices."""
        self._batches = list(since.users())
        then = pa.chunked_array([batch["user_id"] for batch in self._batches], pa.string())
        users_R = pc.index_in(then, value_set=user_ids).fill_null(-1).to_numpy()
        stamps_R = np.concatenate([np.zeros(0, "S16"), *map(_stamps, self._batches)])
        same_R = (users_R >= 0) & (stamps_R == stamps_U[users_R]) if len(stamps_U) else users_R >= 0
        self._users_R = np.where(same_R, users_R, -1).astype(np.int32)
        self.users_U = np.zeros(len(user_ids), bool)
        self.users_U[users_R[same_R]] = True

    def answers(self) -> Iterator[tuple[Int32, Ranking]]:
        """Their indices, int32 (B), and rankings, some at a time."""
        start = 0
        for batch in self._batches:
            users_B = self._users_R[start : start + batch.num_rows]
            start += batch.num_rows
            kept_B = users_B >= 0
            if kept_B.any():
                yield users_B[kept_B], Ranking(matrix_of(batch["items"])[kept_B], matrix_of(batch["scores"])[kept_B])


def _stamps(batch: pa.RecordBatch) -> Stamps:
    column = batch["stamp"]
    return np.frombuffer(column.buffers()[1], "S16", len(column), offset=16 * column.offset)
