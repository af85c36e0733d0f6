"""Items to codes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from semconv.config.leaves import Fraction, Positive, Section, setting


class RqVaeSettings(Section):
    """RQ-VAE (Lee et al. 2022), and the losses that only training codebooks can take in."""

    width: Positive = setting(64, "width of the latent that is quantised, at most that of the fused vector")
    hidden: tuple[Positive, ...] = setting((256,), "widths of the encoder's hidden layers; the decoder's are reversed")
    steps: int = setting(2000, "optimizer steps; 0 keeps the start, residual k-means of principal components", ge=0)
    batch_size: Positive = setting(1024, "items per step")
    learning_rate: float = setting(3e-3, "peak Adam learning rate", gt=0)
    commitment: float = setting(
        0.25, "weight of each level's commitment loss, in units of the reconstruction error", ge=0
    )
    diversity_weight: float = setting(0.0, "weight of LETTER's diversity loss; 0 turns it off", ge=0)
    diversity_clusters: Positive = setting(10, "clusters of code embeddings for the diversity loss")
    collaborative_weight: float = setting(
        0.0, "weight of LETTER's pull of quantised vectors towards behaviour vectors; 0 turns it off", ge=0
    )
    collaborative_temperature: float = setting(0.1, "divides the cosines of that pull", gt=0)

    def idle(self) -> frozenset[str]:
        """What belongs to a loss that is off."""
        off = {"diversity_clusters"} if not self.diversity_weight else set()
        return frozenset(off | ({"collaborative_temperature"} if not self.collaborative_weight else set()))


class TokenizeSettings(Section):
    """Items to tuples of codes: residual quantisation of fused text and behaviour vectors."""

    levels: Annotated[int, Field(ge=2, le=8)] = setting(4, "codes per item")
    codes: Annotated[int, Field(ge=2, le=65536)] = setting(256, "codes per level")
    text_weight: float = setting(1.0, "weight of the text vector in the fused vector", ge=0)
    behaviour_weight: float = setting(0.6, "weight of the behaviour vector in the fused vector", ge=0)
    first_behaviour_factor: float = setting(
        1.8,
        "how many times as much it weighs at the first level (residual_kmeans): the first code says more of who buys "
        "an item",
        gt=0,
    )
    text_components: Positive = setting(128, "principal components kept of the text vectors")
    behaviour_components: Positive = setting(64, "principal components kept of the behaviour vectors")
    whiten: Fraction = setting(0.25, "1 makes the components of a modality equally strong, 0 leaves them as they are")
    iterations: Positive = setting(25, "k-means iterations per level, at most")
    quantizer: Literal["residual_kmeans", "rqvae"] = setting(
        "residual_kmeans", "residual_kmeans: clusters of the fused vectors; rqvae: of a learned latent"
    )
    rqvae: RqVaeSettings = setting(RqVaeSettings(), "the RQ-VAE")
    parallel: Positive = setting(1, "codebooks side by side; the levels are shared evenly among them")
    collisions: Literal["reassign", "extra", "none"] = setting(
        "reassign",
        "items that share all codes: reassign the last code at the least error; extra: number them on one level more; "
        "none: they share, ranked by popularity",
    )
    append: bool = setting(
        False,
        "keep the codes of the items that run.parent knows and encode new ones by its tokenizer, from their text; "
        "--append for short",
    )
    even_last: bool = setting(False, "use the codes of the last level evenly (Sinkhorn, as LC-Rec)")
    align_weight: float = setting(
        0.02,
        "weight of the pull of quantised vectors towards the base LLM's embedding of the title; 0 turns it off; "
        "residual_kmeans fits the projection alone, whatever the weight",
        ge=0,
    )
    align_temperature: float = setting(0.1, "divides the cosines of that pull", gt=0)
    align_steps: Positive = setting(500, "steps that fit the projection alone (residual_kmeans)")

    def idle(self) -> frozenset[str]:
        """What belongs to the other quantizer, or to a pull that is off."""
        off = {"rqvae"} if self.quantizer == "residual_kmeans" else {"align_steps", "first_behaviour_factor"}
        return frozenset(off | ({"align_temperature", "align_steps"} if not self.align_weight else set()))

    @model_validator(mode="after")
    def _some_modality(self) -> TokenizeSettings:
        if self.text_weight + self.behaviour_weight == 0:
            raise ValueError("tokenize.text_weight and tokenize.behaviour_weight are both zero")
        return self

    @model_validator(mode="after")
    def _codebooks_share_the_levels(self) -> TokenizeSettings:
        if self.levels % self.parallel:
            raise ValueError(f"tokenize.levels ({self.levels}) is no multiple of tokenize.parallel ({self.parallel})")
        return self
