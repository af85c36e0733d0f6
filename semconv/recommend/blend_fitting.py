"""Fitting a blend on validation users: the item that each took next, among the candidates.

Softmax over a history's candidates (ListNet with one relevant item, Cao et al. 2007). Users whose item is no candidate
teach nothing. U users, M candidates, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from semconv.artifacts.ragged import Int32, Int64
from semconv.recommend.blend import Blend
from semconv.recommend.evidence import Evidence
from semconv.recommend.ranker import NO_ITEM

BATCH, DECAY = 128, 1e-2
LINEAR_RATE, NETWORK_RATE = 5e-2, 5e-3
"""Of the linear part, which is convex and has far to go, and of the network."""
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
        return Lesson(
            self.evidence.of(torch.from_numpy(rows)), self.targets_U[rows], [self.excluded[row] for row in rows]
        )

    def without(self, source: str) -> Lesson:
        """The same as if a source were not there."""
        return replace(self, evidence=self.evidence.without(source))

    @property
    def barred(self) -> torch.Tensor:
        """Where the candidate is none that may be ranked, bool (U, M)."""
        barred_UM = ~self.evidence.live
        for row, excluded in enumerate(self.excluded):
            barred_UM[row] |= torch.isin(self.evidence.items_BM[row], torch.from_numpy(excluded.astype(np.int64)))
        return barred_UM

    @property
    def right(self) -> torch.Tensor:
        """Where the candidate is what the user took, bool (U, M)."""
        return self.evidence.items_BM == torch.from_numpy(self.targets_U.astype(np.int64))[:, None]


def joined(lessons: Sequence[Lesson]) -> Lesson:
    """Lessons as one."""
    widest = max(lesson.evidence.items_BM.shape[1] for lesson in lessons)
    parts = [lesson.evidence for lesson in lessons]
    evidence = replace(
        parts[0],
        items_BM=torch.cat([_widened(part.items_BM, widest, NO_ITEM) for part in parts]),
        features_BMF=torch.cat([_widened(part.features_BMF, widest, 0.0) for part in parts]),
        proposed_BMS=torch.cat([_widened(part.proposed_BMS, widest, False) for part in parts]),
    )
    targets_U = np.concatenate([lesson.targets_U for lesson in lessons])
    return Lesson(evidence, targets_U, [excluded for lesson in lessons for excluded in lesson.excluded])


def _widened(values: torch.Tensor, width: int, fill: float) -> torch.Tensor:
    missing = (len(values), width - values.shape[1], *values.shape[2:])
    return torch.cat([values, values.new_full(missing, fill)], dim=1)


def fit_blend(lesson: Lesson, *, hidden: int, epochs: int, seed: int) -> Blend:
    """A blend of the lesson's features; the same seed gives the same blend on a CPU.

    What users took is found among all candidates, and again among those that the ranking does not leave out: lists
    with the items people have already and lists without are both what a blend is for.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        blend = Blend(lesson.evidence.features, hidden)
        blend.standardise(lesson.evidence)
        live_UM, right_UM = lesson.evidence.live, lesson.right
        barred_UM = lesson.barred & ~right_UM
        taught = right_UM.any(dim=1).nonzero()[:, 0]
        steps = max(1, epochs * -(-len(taught) // BATCH))
        parts = [{"params": list(blend.linear.parameters()), "lr": LINEAR_RATE}]
        parts += [{"params": list(blend.network.parameters()), "lr": NETWORK_RATE}] if blend.network else []
        optimizer = torch.optim.AdamW(parts, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(epochs):
            for rows in torch.split(taught[torch.randperm(len(taught))], BATCH):
                live_BM, right_B = live_UM[rows], right_UM[rows].float().argmax(dim=1)
                scores_X = blend(lesson.evidence.features_BMF[rows][live_BM])
                scores_BM = torch.full(live_BM.shape, -torch.inf).masked_scatter(live_BM, scores_X)
                loss = F.cross_entropy(scores_BM, right_B)
                loss = loss + F.cross_entropy(scores_BM.masked_fill(barred_UM[rows], -torch.inf), right_B)
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
    return blend.eval().requires_grad_(False)


def held_out(lesson: Lesson, *, hidden: int, epochs: int, seed: int) -> Int64:
    """Ranks, as `target_ranks` has them, of users that the blend which ranks for them was not fitted on: int64 (U,)."""
    users = len(lesson.targets_U)
    fold_U = np.random.default_rng(seed).permutation(users) % FOLDS
    ranks_U = np.zeros(users, np.int64)
    for fold in range(FOLDS):
        blend = fit_blend(lesson.of(np.flatnonzero(fold_U != fold)), hidden=hidden, epochs=epochs, seed=seed)
        ranks_U[fold_U == fold] = target_ranks(blend, lesson.of(np.flatnonzero(fold_U == fold)))
    return ranks_U


def figures(ranks_U: Int64) -> tuple[float, float]:
    """Recall@10 and NDCG@10 of ranks that count from 0."""
    users = max(1, len(ranks_U))
    return int((ranks_U < CUT).sum()) / users, float(gains(ranks_U).sum()) / users


def gains(ranks_U: Int64) -> npt.NDArray[np.float64]:
    """What every user adds to NDCG@10, float64 (U,)."""
    return np.where(ranks_U < CUT, 1.0 / np.log2(ranks_U + 2.0), 0.0)


@torch.no_grad()
def target_ranks(blend: Blend, lesson: Lesson) -> Int64:
    """Candidates above what each user took, excluded ones left out: int64 (U,), more than all where it is none.

    Half of those that tie with it count as above, the odd one too.
    """
    right_UM, barred_UM = lesson.right, lesson.barred
    scores_UM = blend(lesson.evidence.features_BMF).masked_fill(barred_UM, -torch.inf)
    target_U1 = scores_UM.masked_fill(~right_UM, -torch.inf).amax(dim=1, keepdim=True)
    above_U = (scores_UM > target_U1).sum(dim=1) + (scores_UM == target_U1).sum(dim=1) // 2
    missing_U = ~(right_UM & ~barred_UM).any(dim=1)
    ranks_U: Int64 = above_U.masked_fill(missing_U, max(CUT, right_UM.shape[1])).numpy()
    return ranks_U
