"""Text and behaviour encoders."""

from __future__ import annotations

from typing import Literal, get_args

from semconv.config.leaves import Fraction, Positive, Section, operational, setting
from semconv.precision import Chosen


class EncoderSettings(Section):
    """What fitting takes, whatever the behaviour encoder."""

    width: Positive = setting(128, "embedding width")
    epochs: Positive = setting(40, "passes over the training interactions, at most")
    patience: Positive = setting(5, "validations without a better NDCG@10 before it stops")
    learning_rate: float = setting(1e-3, "Adam learning rate", gt=0)
    validation_users: Positive = setting(10_000, "users of the fixed sample that validates, at most")


class SasrecSettings(EncoderSettings):
    """SASRec with full softmax loss (Kang & McAuley 2018; loss as in Klenitskiy & Vasilev 2023)."""

    layers: Positive = setting(1, "transformer layers")
    heads: Positive = setting(2, "attention heads")
    max_history: Positive = setting(50, "most recent items seen")
    dropout: Fraction = setting(0.3, "dropout rate")
    batch_size: Positive = setting(128, "users per step")
    weight_decay: float = setting(0.0, "AdamW weight decay", ge=0)
    precision: Chosen = setting(
        "auto", "arithmetic of the matrix products in training; auto: bf16 on GPUs, else float32"
    )


class GraphSettings(EncoderSettings):
    """What the encoders on the graph of users and items share."""

    width: Positive = setting(64, "embedding width")
    layers: Positive = setting(2, "layers of messages between users and items")
    batch_size: Positive = setting(4096, "interactions per step")
    loss: Literal["softmax", "bpr"] = setting(
        "softmax", "softmax: over cosines to sampled items (Wu et al. 2022); bpr: pairwise (Rendle et al. 2009)"
    )
    negatives: Positive = setting(1024, "softmax: items drawn anew for each step, shared by its interactions")
    temperature: float = setting(0.2, "softmax: divides the cosines", gt=0)
    l2: float = setting(1e-4, "weight of the squared norm of the embeddings", ge=0)


class LightgcnSettings(GraphSettings):
    """LightGCN (He et al. 2020): embeddings averaged over the layers of a linear graph convolution."""


class DccfSettings(GraphSettings):
    """DCCF (Ren et al. 2023): latent intents, and contrast between views of the graph that weigh its edges."""

    intents: Positive = setting(128, "prototypes of latent intents, of users and of items each")
    contrast_weight: float = setting(0.1, "weight of the contrastive loss", ge=0)
    contrast_temperature: float = setting(0.2, "divides the cosines of the contrastive loss", gt=0)
    contrast_nodes: Positive = setting(1024, "users, and items, of a step that are contrasted, at most")
    intent_l2: float = setting(1e-4, "weight of the squared norm of the prototypes", ge=0)


class ItemToItemSettings(Section):
    """The tuned item-to-item counter, beside the fixed one."""

    tune: bool = setting(True, "whether a counter with settings chosen on validation users is fitted as well")
    validation_users: Positive = setting(10_000, "users of the fixed sample that chooses the settings, at most")
    chosen: dict[str, int | float] | None = setting(
        None, "settings of the tuned counter that were chosen before (evaluate.refit); none chooses them"
    )

    def idle(self) -> frozenset[str]:
        """Without tuning nobody validates, nor where it is chosen already."""
        unset = {"chosen": self.chosen is None, "validation_users": not self.tune or self.chosen is not None}
        return frozenset(name for name, changes_nothing in unset.items() if changes_nothing)


EncoderName = Literal["sasrec", "lightgcn", "dccf"]


class EmbedSettings(Section):
    """Item text through a sentence encoder; behaviour from a collaborative model."""

    text_model: str = setting(
        "all-MiniLM-L6-v2", "sentence encoder: the packaged all-MiniLM-L6-v2, a hub id or a folder"
    )
    text_batch_size: Positive = operational(256, "items per encoder call")
    text_workers: Positive = operational(1, "encoder processes")
    workers: Positive = operational(1, "processes that fit the collaborative models, each one model at a time")
    behaviour: tuple[EncoderName, ...] = setting(
        ("sasrec", "lightgcn"),
        "behaviour encoders whose item vectors, side by side, go into the tokens",
        min_length=1,
    )
    also: tuple[EncoderName, ...] = setting((), "behaviour encoders fitted besides, to be evaluated with the rest")
    item_to_item: ItemToItemSettings = setting(ItemToItemSettings(), "item-to-item counter, tuned on validation")
    sasrec: SasrecSettings = setting(SasrecSettings(), "SASRec, a transformer over sequences")
    lightgcn: LightgcnSettings = setting(LightgcnSettings(), "LightGCN, a linear graph convolution")
    dccf: DccfSettings = setting(DccfSettings(), "DCCF, a graph convolution with latent intents and contrast")

    @property
    def encoders(self) -> dict[EncoderName, EncoderSettings]:
        """Settings of the encoders that are fitted, each once, those that give the item vectors first."""
        return {name: getattr(self, name) for name in (*self.behaviour, *self.also)}

    def idle(self) -> frozenset[str]:
        """Settings of encoders that are not fitted change nothing."""
        return frozenset(get_args(EncoderName)) - self.encoders.keys()
