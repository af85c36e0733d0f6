"""Every setting of semconv: one typed tree, each leaf with its meaning, unit and default.

``semconv.cli`` reads it from YAML and the command line. A leaf made with `operational` says how the work is
spread (workers, batch sizes, ports) and never changes what is computed, so it takes no part in deciding
whether an artifact is up to date.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]


def setting(default: Any, meaning: str, **constraints: Any) -> Any:
    """A leaf whose value changes what is computed. ``meaning`` names the unit where there is one."""
    return Field(default, description=meaning, **constraints)


def operational(default: Any, meaning: str, **constraints: Any) -> Any:
    """A leaf that says only how the work is spread; artifacts do not depend on it."""
    return Field(default, description=meaning, json_schema_extra={"operational": True}, **constraints)


class Section(BaseModel):
    """A group of settings; refuses names it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=False)

    def idle(self) -> frozenset[str]:
        """Names of leaves that, as the others are set, change nothing."""
        return frozenset()


class RunSettings(Section):
    """Where a run lives and what it redoes."""

    root: str = operational("runs", "folder that holds runs; a submitted job needs an absolute path")
    name: str = operational("demo", "name of the run; its output goes to <run.root>/<run.name>", pattern=r"^\w[\w.-]*$")
    parent: str | None = operational(
        None, "run under the same root whose tokens this one continues (tokenize.append)", pattern=r"^\w[\w.-]*$"
    )
    seed: int = setting(17, "seed of everything random", ge=0)
    force: bool = operational(False, "redo stages that are up to date")
    until: Literal["ingest", "embed", "base", "tokenize", "align", "evaluate", "precache"] = operational(
        "precache", "last stage to run"
    )


class RaySettings(Section):
    """The cluster the work runs on."""

    address: str | None = operational(None, "cluster to join; none starts one on this machine")
    num_cpus: Positive = operational(4, "logical CPUs of a cluster started here (bookkeeping, not cores)")
    threads: Positive = operational(2, "compute threads of each worker process")
    verbose: bool = operational(False, "show Ray's own log lines")


class SyntheticSettings(Section):
    """The built-in shop: latent categories, brands, taste-driven sequential purchases, and real-world dirt."""

    users: Positive = setting(2000, "users with interactions")
    items: Positive = setting(600, "items in the catalogue")
    categories: Positive = setting(12, "latent categories")
    brands: Positive = setting(40, "brands")
    mean_events: float = setting(12.0, "mean interactions per user", gt=0)
    cold_items: Fraction = setting(0.02, "share of items nobody buys")
    missing_text: Fraction = setting(0.02, "share of items without a title")
    duplicate_titles: Fraction = setting(0.03, "share of items that carry another item's title")
    tied_timestamps: Fraction = setting(0.3, "share of events that share the previous event's timestamp")
    dirty_rows: Fraction = setting(0.002, "share of rows that lack an id, have no time, or come twice")


class CorpusSettings(Section):
    """What is read, how it is cleaned, and how it is split."""

    path: str | None = operational(None, "folder that holds the raw input (its content, not its path, is what counts)")
    reader: Literal["native", "amazon2014", "amazon2018", "amazon2023", "movielens", "online_retail", "synthetic"] = (
        setting("native", "layout of the raw input")
    )
    interactions: str | None = setting(None, "interaction file or glob inside corpus.path; none takes the reader's own")
    items: str | None = setting(None, "item file or glob inside corpus.path; none takes the reader's own")
    columns: dict[str, str] = setting(
        {}, "column mapping: our name -> name in the file; 'items.NAME' maps one table alone (JSON on the command line)"
    )
    delimiter: str | None = setting(
        None, "field delimiter of CSV input; none takes the reader's own (a comma)", min_length=1, max_length=1
    )
    encoding: str | None = setting(
        None, "character encoding of text input; none takes the reader's own (UTF-8, mostly)"
    )
    time_unit: Literal["auto", "s", "ms", "us", "ns"] | None = setting(
        None, "unit of numeric timestamps; auto tells it from their size, none takes the reader's own"
    )
    min_rating: float | None = setting(None, "interactions rated below this are filtered; none keeps all (stars)")
    deduplicate: Literal["none", "event", "item"] = setting(
        "event", "none; event: same user, item and time once; item: a user's first interaction with an item only"
    )
    k_core: int = setting(
        5, "keep users and items with at least this many interactions, iterated; 0 turns it off", ge=0
    )
    require_text: bool = setting(False, "quarantine items without a title, with their interactions")
    keep_cold_items: bool = setting(True, "keep catalogue items without any kept interaction")
    split: Literal["leave_one_out", "global_time"] = setting(
        "leave_one_out", "leave_one_out: last item tests, last but one validates; global_time: two points in time"
    )
    valid_fraction: Fraction = setting(0.1, "global_time: share of interactions, by time, that validate")
    test_fraction: Fraction = setting(0.1, "global_time: share of interactions, by time, that test")
    synthetic: SyntheticSettings = setting(SyntheticSettings(), "the synthetic shop")

    @model_validator(mode="after")
    def _fractions_leave_training(self) -> CorpusSettings:
        if self.valid_fraction + self.test_fraction >= 1.0:
            raise ValueError("corpus.valid_fraction and corpus.test_fraction together leave nothing to train on")
        return self


class EncoderSettings(Section):
    """What fitting takes, whatever the behaviour encoder."""

    width: Positive = setting(128, "embedding width")
    epochs: Positive = setting(40, "passes over the training interactions, at most")
    patience: Positive = setting(5, "validations without a better NDCG@10 before it stops")
    learning_rate: float = setting(1e-3, "Adam learning rate", gt=0)
    validation_users: Positive = setting(10_000, "users of the fixed sample that validates, at most")


class SasrecSettings(EncoderSettings):
    """SASRec with full softmax loss (Kang & McAuley 2018; loss as in Klenitskiy & Vasilev 2023)."""

    layers: Positive = setting(2, "transformer layers")
    heads: Positive = setting(2, "attention heads")
    max_history: Positive = setting(50, "most recent items seen")
    dropout: Fraction = setting(0.3, "dropout rate")
    batch_size: Positive = setting(256, "users per step")
    weight_decay: float = setting(0.0, "AdamW weight decay", ge=0)
    precision: Literal["bf16", "float32"] = setting("bf16", "arithmetic of the matrix products in training")


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


EncoderName = Literal["sasrec", "lightgcn", "dccf"]


class EmbedSettings(Section):
    """Item text through a sentence encoder; behaviour from a collaborative model."""

    text_model: str = setting(
        "all-MiniLM-L6-v2", "sentence encoder: the packaged all-MiniLM-L6-v2, a hub id or a folder"
    )
    text_batch_size: Positive = operational(256, "items per encoder call")
    text_workers: Positive = operational(1, "encoder processes")
    behaviour: EncoderName = setting("sasrec", "behaviour encoder whose item vectors go into the tokens")
    also: tuple[EncoderName, ...] = setting((), "behaviour encoders fitted besides, to be evaluated with the rest")
    sasrec: SasrecSettings = setting(SasrecSettings(), "SASRec, a transformer over sequences")
    lightgcn: LightgcnSettings = setting(LightgcnSettings(), "LightGCN, a linear graph convolution")
    dccf: DccfSettings = setting(DccfSettings(), "DCCF, a graph convolution with latent intents and contrast")

    @property
    def encoders(self) -> dict[EncoderName, EncoderSettings]:
        """Settings of the encoders that are fitted, each once, the one that gives the item vectors first."""
        return {name: getattr(self, name) for name in (self.behaviour, *self.also)}

    def idle(self) -> frozenset[str]:
        """Settings of encoders that are not fitted change nothing."""
        return frozenset(get_args(EncoderName)) - self.encoders.keys()


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
    behaviour_weight: float = setting(0.5, "weight of the behaviour vector in the fused vector", ge=0)
    first_behaviour_factor: float = setting(
        1.8,
        "how many times as much it weighs at the first level (residual_kmeans): the first code says more of who buys "
        "an item",
        gt=0,
    )
    text_components: Positive = setting(128, "principal components kept of the text vectors")
    behaviour_components: Positive = setting(64, "principal components kept of the behaviour vectors")
    whiten: Fraction = setting(0.5, "1 makes the components of a modality equally strong, 0 leaves them as they are")
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


class EvaluateSettings(Section):
    """What is measured, and on how many processes."""

    at: tuple[Positive, ...] = setting((5, 10, 20), "cut-offs of Recall and NDCG (items)", min_length=1)
    bootstrap: Positive = setting(1000, "bootstrap resamples of users behind each 95% interval")
    examples: int = setting(10, "example users on the report's page", ge=0)
    beams: Positive = setting(50, "beams of the generative search")
    batch_size: Positive = operational(256, "users per batch")
    workers: Positive = operational(1, "scoring processes")


class PrecacheSettings(Section):
    """The top K of every user, computed ahead."""

    k: Positive = setting(50, "items kept per user")
    filter_seen: bool = setting(True, "leave out items the user already has")
    beams: Positive = setting(100, "beams of the generative search; at least k")
    shards: Positive = setting(4, "files the snapshot is split into by a hash of the user id")
    batch_size: Positive = operational(256, "users per batch")
    workers: Positive = operational(1, "scoring processes")

    @model_validator(mode="after")
    def _beams_cover_k(self) -> PrecacheSettings:
        if self.beams < self.k:
            raise ValueError(f"precache.beams ({self.beams}) is smaller than precache.k ({self.k})")
        return self


class ServeSettings(Section):
    """The service on loopback. No request can ask for more than ``precache.k`` items."""

    host: str = operational("127.0.0.1", "address it listens on")
    port: int = operational(8000, "port it listens on; 0 takes a free one", ge=0, le=65535)
    replicas: Positive = operational(1, "ingress replicas")
    live_replicas: Positive = operational(1, "replicas of the live model")
    max_history: Positive = operational(1000, "longest history a request may carry (items)")
    max_id_length: Positive = operational(256, "longest user or item id a request may carry (characters)")
    max_body_bytes: Positive = operational(1_048_576, "largest request body (bytes)")
    live_batch_size: Positive = operational(16, "requests decoded together, at most")
    live_wait_ms: float = operational(5.0, "longest wait for such a batch to fill (milliseconds)", ge=0)
    live_queue: Positive = operational(64, "live requests waiting at an ingress replica before it falls back at once")
    live_deadline_s: float = operational(2.0, "longest wait for a live answer before falling back (seconds)", gt=0)


class Settings(Section):
    """The whole tree."""

    run: RunSettings = Field(RunSettings(), description="where a run lives and what it redoes")
    ray: RaySettings = Field(RaySettings(), description="the cluster the work runs on")
    corpus: CorpusSettings = Field(CorpusSettings(), description="what is read, cleaned and split")
    embed: EmbedSettings = Field(EmbedSettings(), description="text and behaviour vectors")
    base: BaseSettings = Field(BaseSettings(), description="the LLM before alignment")
    tokenize: TokenizeSettings = Field(TokenizeSettings(), description="items to codes")
    align: AlignSettings = Field(AlignSettings(), description="teaching the LLM the codes")
    evaluate: EvaluateSettings = Field(EvaluateSettings(), description="metrics")
    precache: PrecacheSettings = Field(PrecacheSettings(), description="top K of every user")
    serve: ServeSettings = Field(ServeSettings(), description="the HTTP service")

    @model_validator(mode="after")
    def _append_continues_another_run(self) -> Settings:
        if self.tokenize.append and self.run.parent is None:
            raise ValueError("tokenize.append continues the tokens of an earlier run, and run.parent names none")
        if self.run.parent is not None and not self.tokenize.append:
            raise ValueError(f"run.parent is '{self.run.parent}', which only tokenize.append (--append) makes use of")
        if self.tokenize.append and self.run.parent == self.run.name:
            raise ValueError(
                f"run.parent and run.name are both '{self.run.name}': tokenize.append makes a new version, "
                "in a run of its own"
            )
        return self


def determining(section: Section) -> dict[str, Any]:
    """The part of a section that changes what is computed, as plain JSON values (operational, idle leaves left out)."""
    kept: dict[str, Any] = {}
    idle = section.idle()
    dumped = section.model_dump(mode="json")
    for name, field in type(section).model_fields.items():
        extra = field.json_schema_extra
        if name in idle or (isinstance(extra, dict) and extra.get("operational")):
            continue
        value = getattr(section, name)
        kept[name] = determining(value) if isinstance(value, Section) else dumped[name]
    return kept
