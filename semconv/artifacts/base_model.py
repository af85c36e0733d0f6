"""BaseModel: the language model before alignment, a plain transformers folder with its tokenizer.

config.json, model.safetensors, generation_config.json, tokenizer files
curves.json    training curve, where it was pretrained here: a list of {step, epoch, loss}
"""

from __future__ import annotations

from semconv.artifacts.artifact import Artifact


class BaseModel(Artifact):
    """See the module's own text for the layout."""

    kind = "base"
