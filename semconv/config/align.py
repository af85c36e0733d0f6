"""Teaching the LLM the codes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from semconv.config.leaves import Fraction, Positive, Section, operational, setting


class AlignSettings(Section):
    """Fine-tuning: the LLM learns the item tokens from sequences and text."""

    spelling: Literal["compact", "tokens"] = setting(
        "compact", "history spelt as one position an item (compact) or as code tokens in the vocabulary (tokens)"
    )
    max_history: Positive = setting(50, "most recent items of a history that the model sees")
    depth_width: Positive = setting(128, "width of the compact decoder, at most the LLM's own (compact)")
    text_share: Fraction = setting(0.1, "share of the examples that are text tasks; the rest is sequential")
    epochs: Positive = setting(20, "passes over the training sequences, at most")
    batch_size: Positive = setting(128, "sequences per optimizer step, over all workers")
    learning_rate: float = setting(1e-3, "peak AdamW learning rate", gt=0)
    weight_decay: float = setting(0.05, "AdamW weight decay of matrices", ge=0)
    dropout: Fraction = setting(0.2, "dropout rate")
    label_smoothing: Fraction = setting(0.1, "share of a target's probability spread over all codes (compact)")
    warmup: Fraction = setting(0.05, "share of the steps with rising learning rate")
    precision: Literal["bf16", "float32"] = setting("bf16", "arithmetic of the forward and backward pass")
    code_rows: Literal["projected", "random"] = setting(
        "projected",
        "start of the code tokens' rows: projected from the codebooks into the LLM's space, where the tokens hold a "
        "projection (tokenize.align_weight above 0), or random",
    )
    engine: Literal["deepspeed", "plain"] = setting(
        "deepspeed", "what computes the steps; plain torch runs on one worker alone"
    )
    zero_stage: Annotated[int, Field(ge=0, le=3)] = setting(1, "DeepSpeed ZeRO stage")
    validation_users: Positive = setting(2000, "users of the fixed sample that validates during training")
    validate_every: Positive = setting(2, "epochs between validations")
    patience: Positive = setting(4, "validations without a better Recall@10 before it stops")
    checkpoint_every: Positive = operational(200, "optimizer steps between checkpoints")
    max_failures: int = operational(2, "worker failures survived by restarting from the last checkpoint", ge=0)
    workers: Positive = operational(1, "training workers; batch_size is shared among them")

    @model_validator(mode="after")
    def _plain_torch_is_one_worker(self) -> AlignSettings:
        if self.engine == "plain" and self.workers > 1:
            raise ValueError(f"align.engine plain runs on one worker and align.workers is {self.workers}")
        return self
