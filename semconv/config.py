"""Every setting of semconv: one typed tree, each leaf with its meaning, unit and default.

``semconv.cli`` reads it from YAML and the command line. A leaf made with `operational` says how the work is
spread (workers, batch sizes, ports) and never changes what is computed, so it takes no part in deciding
whether an artifact is up to date.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

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


class RunSettings(Section):
    """Where a run lives and what it redoes."""

    root: str = operational("runs", "folder that holds runs; a submitted job needs an absolute path")
    name: str = operational("demo", "name of the run; its output goes to <run.root>/<run.name>", pattern=r"^\w[\w.-]*$")
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


class SasrecSettings(Section):
    """SASRec with full softmax loss (Kang & McAuley 2018; loss as in Klenitskiy & Vasilev 2023)."""

    width: Positive = setting(128, "embedding width")
    layers: Positive = setting(2, "transformer layers")
    heads: Positive = setting(2, "attention heads")
    max_history: Positive = setting(50, "most recent items seen")
    dropout: Fraction = setting(0.3, "dropout rate")
    epochs: Positive = setting(40, "passes over the training sequences, at most")
    patience: Positive = setting(5, "validations without a better NDCG@10 before it stops")
    batch_size: Positive = setting(256, "users per step")
    learning_rate: float = setting(1e-3, "AdamW learning rate", gt=0)
    weight_decay: float = setting(0.0, "AdamW weight decay", ge=0)
    precision: Literal["bf16", "float32"] = setting("bf16", "arithmetic of the matrix products in training")
    validation_users: Positive = setting(10_000, "users of the fixed sample that validates, at most")


class EmbedSettings(Section):
    """Item text through a sentence encoder; behaviour from a collaborative model."""

    text_model: str = setting(
        "all-MiniLM-L6-v2", "sentence encoder: the packaged all-MiniLM-L6-v2, a hub id or a folder"
    )
    text_batch_size: Positive = operational(256, "items per encoder call")
    text_workers: Positive = operational(1, "encoder processes")
    sasrec: SasrecSettings = setting(SasrecSettings(), "the behaviour encoder")


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


class TokenizeSettings(Section):
    """Items to tuples of codes: residual quantisation of fused text and behaviour vectors."""

    levels: Annotated[int, Field(ge=2, le=8)] = setting(4, "codes per item")
    codes: Annotated[int, Field(ge=2, le=65536)] = setting(256, "codes per level")
    text_weight: float = setting(1.0, "weight of the text vector in the fused vector", ge=0)
    behaviour_weight: float = setting(1.0, "weight of the behaviour vector in the fused vector", ge=0)
    components: Positive = setting(64, "principal components kept of each modality")
    iterations: Positive = setting(25, "k-means iterations per level, at most")

    @model_validator(mode="after")
    def _some_modality(self) -> TokenizeSettings:
        if self.text_weight + self.behaviour_weight == 0:
            raise ValueError("tokenize.text_weight and tokenize.behaviour_weight are both zero")
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


def determining(section: Section) -> dict[str, Any]:
    """The part of a section that changes what is computed, as plain JSON values (operational leaves left out)."""
    kept: dict[str, Any] = {}
    dumped = section.model_dump(mode="json")
    for name, field in type(section).model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("operational"):
            continue
        value = getattr(section, name)
        kept[name] = determining(value) if isinstance(value, Section) else dumped[name]
    return kept
