"""Recommender: the aligned LLM, in the spelling it was trained in.

    semconv.json          spelling ("compact" or "tokens"), levels, codes, and what that spelling needs to load
    model.safetensors, config.json, tokenizer files, generation_config.json where the spelling has them
    probes.json           what it has learned besides ranking: a list of {family, task, on, measure, value, questions}
    curves.json           training and validation curves: a list of {step, epoch, loss, recall@10, ...}

A model spelt in tokens loads with plain transformers from this folder; of a compact one, the ``backbone`` folder does.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from semconv.artifacts.artifact import Artifact


class Recommender(Artifact):
    """See the module's own text for the layout."""

    kind = "model"

    @cached_property
    def description(self) -> dict[str, Any]:
        """The content of ``semconv.json``."""
        return dict(json.loads((self.path / "semconv.json").read_text()))

    @property
    def spelling(self) -> str:
        """``compact`` or ``tokens``."""
        return str(self.description["spelling"])
