"""What a language model does to its logits after the output projection.

Some scale them (Cohere, Granite), some bend them below a cap (Gemma: ``cap * tanh(logit / cap)``). Whoever multiplies
hidden states out without the model's own forward pass must do the same; the probes compare the two before anything is
trained or ranked.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import torch


class LogitRule(NamedTuple):
    """Multiplied by ``scale``, then kept within plus and minus ``cap``; 1 and 0 leave logits as they are."""

    scale: float = 1.0
    cap: float = 0.0

    @classmethod
    def of(cls, config: Any) -> Self:
        """What a configuration asks for, by the names that Hugging Face models have for it."""
        text = config.get_text_config()
        names = ("logit_scale", "logits_scaling", "final_logit_softcapping")
        found = (getattr(text, name, None) for name in names)
        times, over, cap = (float(value) if isinstance(value, int | float) else 0.0 for value in found)
        return cls((times or 1.0) / (over or 1.0), cap)

    def __call__(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits of any shape, as the model would give them."""
        if self.scale != 1.0:
            logits = logits * self.scale
        return torch.tanh(logits / self.cap) * self.cap if self.cap else logits
