"""The LLM before alignment."""

from __future__ import annotations

from semconv.config.leaves import Positive, Section, operational, setting


class BaseSettings(Section):
    """The LLM before alignment: a pretrained one, or a small one pretrained on the catalogue's text."""

    model: str | None = setting(None, "pretrained causal LM, hub id or folder; none pretrains a small Qwen3 here")
    vocab_size: Positive = setting(4096, "BPE vocabulary of the small LLM", ge=300)
    width: Positive = setting(128, "hidden width of the small LLM")
    layers: Positive = setting(4, "layers of the small LLM")
    heads: Positive = setting(4, "attention heads of the small LLM")
    feed_forward: Positive = setting(384, "feed-forward width of the small LLM")
    context: Positive = setting(512, "longest sequence of the small LLM (tokens)")
    epochs: Positive = setting(3, "passes over the catalogue's text")
    batch_tokens: Positive = setting(4096, "tokens per step")
    learning_rate: float = setting(1e-3, "AdamW learning rate", gt=0)
    workers: Positive = operational(1, "training workers")
