"""Teaching the LLM the codes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from semconv.config.leaves import Fraction, Positive, Section, operational, setting
from semconv.precision import Chosen


class TaskSettings(Section):
    """How many examples of each family of tasks an epoch holds, for every training sequence; 0 turns a family off.

    A compact model answers with items alone: it learns no negative and no preference tasks, and of the others those
    whose answer is an item.
    """

    sequential: Fraction = setting(1.0, "history to next item: the share of the sequences that an epoch goes through")
    textual: float = setting(0.1, "item to its title, brand, categories, description, and back; with a history", ge=0)
    query: float = setting(0.0, "a search phrase, a category or a brand, with and without history, to an item", ge=0)
    negative: float = setting(0.0, "history and candidates to yes or no, or to the one that was chosen", ge=0)
    preference: float = setting(0.0, "history to the categories and brands its user likes, in words", ge=0)
    templates: str | None = setting(None, "TOML file of the words around items and text; none takes our own (tokens)")

    @model_validator(mode="after")
    def _something_is_learned(self) -> TaskSettings:
        if not any((self.sequential, self.textual, self.query, self.negative, self.preference)):
            raise ValueError("every family of align.tasks is 0, which leaves nothing to learn")
        return self


class LoraSettings(Section):
    """LoRA (Hu et al. 2022) on the attention and feed-forward matrices; the code tokens' rows are trained whole."""

    rank: Positive = setting(16, "rank of the updates")
    alpha: float = setting(32.0, "scale of the updates, over the rank", gt=0)
    dropout: Fraction = setting(0.0, "dropout before the updates")


class AlignSettings(Section):
    """Fine-tuning: the LLM learns the item tokens from sequences and text."""

    spelling: Literal["compact", "tokens"] = setting(
        "compact", "history spelt as one position an item (compact) or as code tokens in the vocabulary (tokens)"
    )
    start: str | None = operational(
        None, "folder of an aligned model whose weights training starts from; its content, not its path, is what counts"
    )
    max_history: Positive = setting(50, "most recent items of a history that the model sees")
    depth_width: Positive = setting(128, "width of the compact decoder, at most the LLM's own (compact)")
    tasks: TaskSettings = setting(TaskSettings(), "the families of alignment tasks")
    epochs: Positive = setting(20, "passes over the training sequences, at most; the other families go along")
    batch_size: Positive = setting(128, "examples per optimizer step, over all workers")
    learning_rate: float = setting(1e-3, "peak AdamW learning rate", gt=0)
    weight_decay: float = setting(0.05, "AdamW weight decay of matrices", ge=0)
    dropout: Fraction = setting(0.2, "dropout rate")
    label_smoothing: Fraction = setting(0.1, "share of a target's probability spread over all codes (compact)")
    item_weight: float = setting(
        1.0, "weight of the item head's loss beside that of a level of codes; 0: no item head (compact)", ge=0
    )
    warmup: Fraction = setting(0.05, "share of the steps with rising learning rate")
    precision: Chosen = setting("auto", "arithmetic of the forward and backward pass; auto: bf16 on GPUs, else float32")
    code_rows: Literal["projected", "random"] = setting(
        "projected",
        "start of the code tokens' rows: projected from the codebooks into the LLM's space, where the tokens hold a "
        "projection (tokenize.align_weight above 0), or random",
    )
    engine: Literal["deepspeed", "plain"] = setting(
        "deepspeed", "what computes the steps; plain torch runs on one worker alone"
    )
    method: Literal["full", "lora"] = setting(
        "full", "full: every weight is trained; lora: low-rank updates and the code tokens' rows (tokens)"
    )
    lora: LoraSettings = setting(LoraSettings(), "the low-rank updates")
    warm_rows: int = setting(
        0, "optimizer steps at the start in which the code tokens' rows alone are trained (tokens)", ge=0
    )
    accumulate: Positive = operational(1, "parts a step's batch is cut into, computed one after another to save memory")
    gradient_checkpointing: bool = operational(False, "compute activations anew in the backward pass to save memory")
    liger: bool = operational(False, "on GPUs, norms and gated layers by Liger's kernels (extra gpu)")
    offload: Literal["none", "optimizer", "parameters"] = operational(
        "none", "what DeepSpeed keeps in the CPU's memory: the optimizer's state (ZeRO 1 to 3), parameters too (ZeRO 3)"
    )
    probe_questions: int = operational(
        300, "users and items that each probe of the trained model asks about, at most; 0 turns probes off", ge=0
    )
    tracking: Literal["tensorboard", "mlflow", "none"] = operational("tensorboard", "where training curves go besides")
    zero_stage: Annotated[int, Field(ge=0, le=3)] = setting(1, "DeepSpeed ZeRO stage")
    validation_users: Positive = setting(2000, "users of the fixed sample that validates during training")
    validate_every: Positive = setting(2, "epochs between validations")
    patience: Positive = setting(4, "validations without a better Recall@10 before it stops")
    checkpoint_every: Positive = operational(200, "optimizer steps between checkpoints")
    max_failures: int = operational(2, "worker failures survived by restarting from the last checkpoint", ge=0)
    example_workers: Positive = operational(1, "processes that write the examples")
    workers: Positive = operational(1, "training workers; batch_size is shared among them")

    @model_validator(mode="after")
    def _plain_torch_is_one_worker(self) -> AlignSettings:
        if self.engine == "plain" and self.workers > 1:
            raise ValueError(f"align.engine plain runs on one worker and align.workers is {self.workers}")
        return self

    @model_validator(mode="after")
    def _rows_are_tokens(self) -> AlignSettings:
        if self.spelling == "compact" and self.method == "lora":
            raise ValueError("align.method lora trains the rows of code tokens: set align.spelling to tokens")
        if self.spelling == "compact" and self.warm_rows:
            raise ValueError("align.warm_rows are rows of code tokens: set align.spelling to tokens, or leave it at 0")
        return self

    @model_validator(mode="after")
    def _offload_has_a_stage(self) -> AlignSettings:
        least = {"none": 0, "optimizer": 1, "parameters": 3}[self.offload]
        if least and self.engine == "plain":
            raise ValueError(f"align.offload {self.offload} is DeepSpeed's: set align.engine to deepspeed")
        if self.zero_stage < least:
            raise ValueError(f"align.offload {self.offload} needs align.zero_stage {least} at least")
        return self

    def idle(self) -> frozenset[str]:
        """Settings of LoRA change nothing where every weight is trained."""
        return frozenset() if self.method == "lora" else frozenset({"lora"})
