"""Which blends a run has, and what each source is worth to them."""

from __future__ import annotations

from typing import Any

from semconv.config import ConvergeSettings
from semconv.recommend.blend_fitting import Lesson, fit_blend, held_out

CONVERGED = "converged"
WITHOUT_GENERATIVE = "converged_without_generative"
STEERED = "steered"
GENERATIVE = "generative"


def converge(lesson: Lesson, settings: ConvergeSettings, seed: int) -> dict[str, Any]:
    """The content of ``blend.json``: both blends, and what a blend reaches with all sources and without each.

    Figures are Recall@10 and NDCG@10, filtered, of users that the blend which ranks for them was not fitted on.
    """
    how = _how(settings, seed)
    without_generative = lesson.without(GENERATIVE)
    reached = {"": held_out(lesson, **how)}
    reached |= {source: held_out(lesson.without(source), **how) for source in lesson.evidence.sources}
    return {
        "blends": {
            CONVERGED: fit_blend(lesson, **how).described(),
            WITHOUT_GENERATIVE: fit_blend(without_generative, **how).described(),
        },
        "validation": {
            "users": len(lesson.targets_U),
            "candidates_hold_target": float(lesson.right.any(dim=1).float().mean()),
            "converged": reached.pop(""),
            "without": reached,
        },
    }


def steer(lesson: Lesson, settings: ConvergeSettings, seed: int) -> dict[str, Any]:
    """What users with a wish add to ``blend.json``: their ``blend``, and what it reaches in ``validation``.

    Figures are as in `converge`, of wishes that describe what each user took.
    """
    how = _how(settings, seed)
    recall, ndcg = held_out(lesson, **how)
    return {
        "blend": fit_blend(lesson, **how).described(),
        "validation": {
            "users": len(lesson.targets_U),
            "candidates_hold_target": float(lesson.right.any(dim=1).float().mean()),
            STEERED: (recall, ndcg),
        },
    }


def _how(settings: ConvergeSettings, seed: int) -> dict[str, Any]:
    return {"hidden": settings.hidden, "epochs": settings.epochs, "seed": seed}
