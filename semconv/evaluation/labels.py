"""What systems and metrics are called where people read them."""

from __future__ import annotations

from typing import Literal

Family = Literal["reference", "collaborative", "generative"]

_SYSTEMS: dict[str, tuple[str, Family]] = {
    "random": ("Random", "reference"),
    "popularity": ("Popularity", "reference"),
    "item_to_item": ("Item-to-item", "collaborative"),
    "item_to_item_tuned": ("Item-to-item, tuned", "collaborative"),
    "text_neighbours": ("Text neighbours", "collaborative"),
    "sasrec": ("SASRec", "collaborative"),
    "lightgcn": ("LightGCN", "collaborative"),
    "dccf": ("DCCF", "collaborative"),
    "generative_compact": ("Generative, compact", "generative"),
    "generative_tokens": ("Generative, tokens", "generative"),
    "generative": ("Generative", "generative"),
    "converged": ("Converged", "generative"),
    "converged_without_generative": ("Converged without LLM", "collaborative"),
}
_METRICS = {
    "recall": "Recall",
    "ndcg": "NDCG",
    "mrr": "MRR",
    "coverage": "Coverage",
    "gini": "Gini",
    "novelty": "Novelty",
    "diversity": "Diversity",
}
_SHORT = _METRICS | {"recall": "R", "ndcg": "N"}
_DIMENSIONS = {
    "history_length": "by length of the history",
    "target_popularity": "by training interactions of the item taken next",
    "truncated": "with histories cut to their last events",
    "new_items": "whose next item is new: without training interactions",
}


def system_label(name: str) -> str:
    """A system's name for people; an unknown one is made from its key."""
    return _SYSTEMS[name][0] if name in _SYSTEMS else name.replace("_", " ").capitalize()


def system_family(name: str) -> Family:
    """What kind of system it is, which decides the colour of its line; an unknown one counts as collaborative."""
    return _SYSTEMS[name][1] if name in _SYSTEMS else "collaborative"


def metric_label(metric: str) -> str:
    """``recall@10`` as ``Recall@10``."""
    name, _, k = metric.partition("@")
    return f"{_METRICS[name]}@{k}"


def metric_short(metric: str) -> str:
    """``recall@10`` as ``R@10``, for narrow columns."""
    name, _, k = metric.partition("@")
    return f"{_SHORT[name]}@{k}"


def dimension_label(dimension: str) -> str:
    """What slices of users differ in."""
    return _DIMENSIONS[dimension]
