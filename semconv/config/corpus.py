"""What is read, how it is cleaned and split, and the built-in shop."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from semconv.config.leaves import Fraction, Positive, Section, operational, setting


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
    refit: bool = setting(False, "train on what validates too, so that nothing is left to validate on (evaluate.refit)")
    synthetic: SyntheticSettings = setting(SyntheticSettings(), "the synthetic shop")

    def idle(self) -> frozenset[str]:
        """Usually what validates is not trained on."""
        return frozenset() if self.refit else frozenset({"refit"})

    @model_validator(mode="after")
    def _fractions_leave_training(self) -> CorpusSettings:
        if self.valid_fraction + self.test_fraction >= 1.0:
            raise ValueError("corpus.valid_fraction and corpus.test_fraction together leave nothing to train on")
        return self
