"""Amazon Reviews as published in 2014 (McAuley et al.), 2018 (Ni et al.) and 2023 (Hou et al.)."""

from semconv.corpus.layouts.layout import Files, Layout

_REVIEW = {"user_id": "reviewerID", "item_id": "asin", "rating": "overall", "timestamp": "unixReviewTime"}
_META = {
    "item_id": "asin",
    "title": "title",
    "brand": "brand",
    "description": "description",
}

AMAZON2014 = Layout(
    name="amazon2014",
    interactions=(
        Files(("reviews_*_5.json*", "reviews_*.json*"), _REVIEW, "jsonl"),
        Files(
            ("ratings_*.csv*",),
            {"user_id": "user", "item_id": "item", "rating": "rating", "timestamp": "timestamp"},
            "csv",
            header=("user", "item", "rating", "timestamp"),
        ),
    ),
    items=(Files(("meta_*.json*",), _META | {"categories": "categories"}, "literal"),),
    time_unit="s",
)

AMAZON2018 = Layout(
    name="amazon2018",
    interactions=(
        Files(("*_5.json.gz", "*_5.json", "[!m]*.json.gz", "[!m]*.json"), _REVIEW, "jsonl"),
        Files(
            ("[!m]*.csv*",),
            {"user_id": "user", "item_id": "item", "rating": "rating", "timestamp": "timestamp"},
            "csv",
            header=("item", "user", "rating", "timestamp"),
        ),
    ),
    items=(Files(("meta_*.json*",), _META | {"categories": "category"}, "jsonl"),),
    time_unit="s",
)

_REVIEW_2023 = {"user_id": "user_id", "item_id": "parent_asin", "rating": "rating", "timestamp": "timestamp"}

AMAZON2023 = Layout(
    name="amazon2023",
    interactions=(
        Files(("[!m]*.jsonl.gz", "[!m]*.jsonl"), _REVIEW_2023, "jsonl"),
        Files(("[!m]*.csv.gz", "[!m]*.csv"), _REVIEW_2023, "csv"),
    ),
    items=(
        Files(
            ("meta_*.jsonl*",),
            {
                "item_id": "parent_asin",
                "title": "title",
                "brand": "store",
                "description": "description",
                "categories": "categories",
            },
            "jsonl",
        ),
    ),
    time_unit="ms",
)
