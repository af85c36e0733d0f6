"""Fitting a blend on validation users: the item that each took next, among the candidates.

Softmax over a history's candidates (ListNet with one relevant item, Cao et al. 2007). Users whose item is no candidate
teach nothing. U users, M candidates, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from semconv.artifacts.ragged import Int32, Int64
from semconv.recommend.blend import Blend
from semconv.recommend.evidence import Evidence
from semconv.recommend.ranker import NO_ITEM

BATCH, RATE, DECAY = 128, 5e-3, 1e-2
FOLDS = 5
CUT = 10


@dataclass(frozen=True)
class Lesson:
    """Evidence of U users, what each took next, int32 (U,), and the items that the ranking leaves out."""

    evidence: Evidence
    targets_U: Int32
    excluded: Sequence[Int32]

    def of(self, rows: Int64) -> Lesson:
        """Some of the users."""
        chosen = torch.from_numpy(rows)
        part = Evidence(self.evidence.items_BM[chosen], self.evidence.features_BMF[chosen])
        return Lesson(part, self.targets_U[rows], [self.excluded[row] for row in rows])

    def without(self, kept: Sequence[int]) -> Lesson:
        """The same with these features alone; all candidates stay."""
        part = Evidence(self.evidence.items_BM, self.evidence.features_BMF[:, :, list(kept)])
        return Lesson(part, self.targets_U, self.excluded)

    @property
    def right(self) -> torch.Tensor:
        """Where the candidate is what the user took, bool (U, M)."""
        return self.evidence.items_BM == torch.from_numpy(self.targets_U.astype(np.int64))[:, None]


def joined(lessons: Sequence[Lesson]) -> Lesson:
    """Lessons as one."""
    widest = max(lesson.evidence.items_BM.shape[1] for lesson in lessons)
    return Lesson(
        Evidence(
            torch.cat([_widened(lesson.evidence.items_BM, widest, NO_ITEM) for lesson in lessons]),
            torch.cat([_widened(lesson.evidence.features_BMF, widest, 0.0) for lesson in lessons]),
        ),
        np.concatenate([lesson.targets_U for lesson in lessons]),
        [excluded for lesson in lessons for excluded in lesson.excluded],
    )


def _widened(values: torch.Tensor, width: int, fill: float) -> torch.Tensor:
    missing = (len(values), width - values.shape[1], *values.shape[2:])
    return torch.cat([values, values.new_full(missing, fill)], dim=1)


def fit_blend(lesson: Lesson, features: Sequence[str], *, hidden: int, epochs: int, seed: int) -> Blend:
    """A blend of ``features``, those of the lesson's evidence; the same seed gives the same blend on a CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        blend = Blend(features, hidden)
        blend.standardise(lesson.evidence)
        right_UM = lesson.right
        taught = right_UM.any(dim=1).nonzero()[:, 0]
        steps = max(1, epochs * -(-len(taught) // BATCH))
        optimizer = torch.optim.AdamW(blend.parameters(), lr=RATE, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(epochs):
            for rows in torch.split(taught[torch.randperm(len(taught))], BATCH):
                live_BM = lesson.evidence.live[rows]
                scores_BM = blend(lesson.evidence.features_BMF[rows]).masked_fill(~live_BM, -torch.inf)
                loss = F.cross_entropy(scores_BM, right_UM[rows].float().argmax(dim=1))
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
    return blend.eval().requires_grad_(False)


def held_out(lesson: Lesson, features: Sequence[str], *, hidden: int, epochs: int, seed: int) -> tuple[float, float]:
    """Recall@10 and NDCG@10, filtered, of users that the blend which ranks for them was not fitted on."""
    users = len(lesson.targets_U)
    fold_U = np.random.default_rng(seed).permutation(users) % FOLDS
    hits, gain = 0, 0.0
    for fold in range(FOLDS):
        blend = fit_blend(lesson.of(np.flatnonzero(fold_U != fold)), features, hidden=hidden, epochs=epochs, seed=seed)
        ranks = target_ranks(blend, lesson.of(np.flatnonzero(fold_U == fold)))
        found = ranks[ranks < CUT]
        hits += len(found)
        gain += float((1.0 / np.log2(found + 2.0)).sum())
    return hits / max(1, users), gain / max(1, users)


@torch.no_grad()
def target_ranks(blend: Blend, lesson: Lesson) -> Int64:
    """Candidates above what each user took, excluded ones left out: int64 (U,), more than all where it is none.

    Half of those that tie count as above.
    """
    items_UM, right_UM = lesson.evidence.items_BM, lesson.right
    scores_UM = blend(lesson.evidence.features_BMF)
    barred_UM = ~lesson.evidence.live
    for row, excluded in enumerate(lesson.excluded):
        barred_UM[row] |= torch.isin(items_UM[row], torch.from_numpy(excluded.astype(np.int64)))
    scores_UM = scores_UM.masked_fill(barred_UM, -torch.inf)
    target_U1 = scores_UM.masked_fill(~right_UM, -torch.inf).amax(dim=1, keepdim=True)
    above_U = (scores_UM > target_U1).sum(dim=1) + ((scores_UM == target_U1).sum(dim=1) - 1) // 2
    missing_U = ~(right_UM & ~barred_UM).any(dim=1)
    ranks_U: Int64 = above_U.masked_fill(missing_U, items_UM.shape[1]).numpy()
    return ranks_U
