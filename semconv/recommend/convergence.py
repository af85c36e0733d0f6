"""Which blends a run has, and what they reach."""

from __future__ import annotations

from typing import Any

from semconv.config import ConvergeSettings
from semconv.recommend.blend_fitting import Lesson, figures, fit_blend, held_out

CONVERGED = "converged"
WITHOUT_GENERATIVE = "converged_without_generative"
STEERED = "steered"
GENERATIVE = "generative"


def converge(lesson: Lesson, settings: ConvergeSettings, seed: int) -> dict[str, Any]:
    """The content of ``blend.json``: both blends, and what each reaches.

    Figures are Recall@10 and NDCG@10, filtered, of users that the blend which ranks for them was not fitted on.
    """
    lessons = {CONVERGED: lesson, WITHOUT_GENERATIVE: lesson.without(GENERATIVE)}
    fitted = {name: _fitted(one, settings, seed) for name, one in lessons.items()}
    return {
        "blends": {name: blend for name, (blend, _) in fitted.items()},
        "validation": _about(lesson) | {name: reached for name, (_, reached) in fitted.items()},
    }


def steer(lesson: Lesson, settings: ConvergeSettings, seed: int) -> dict[str, Any]:
    """What users with a wish add to ``blend.json``: their ``blend``, and what it reaches in ``validation``.

    Figures are as in `converge`, of wishes that describe what each user took.
    """
    blend, reached = _fitted(lesson, settings, seed)
    return {"blend": blend, "validation": _about(lesson) | {STEERED: reached}}


def _fitted(lesson: Lesson, settings: ConvergeSettings, seed: int) -> tuple[dict[str, Any], tuple[float, float]]:
    how: dict[str, Any] = {"hidden": settings.hidden, "epochs": settings.epochs, "seed": seed}
    return fit_blend(lesson, **how).described(), figures(held_out(lesson, **how))


def _about(lesson: Lesson) -> dict[str, Any]:
    return {
        "users": len(lesson.targets_U),
        "candidates_hold_target": float(lesson.right.any(dim=1).float().mean()),
    }
