"""Ingest of synthetic rows through cleaning, 5-core and sequences, beside the same work in one process.

python -m benchmarks.ingest --rows 10_000_000 --out FILE.json

``seconds`` and ``peak_gib`` are of ``python -m pipelines.ingest`` as a person runs it, cluster start and exit
included; ``growth`` is fitted over a tenth of the rows, a third and all. Rivals, each in a process of its own, on the
same files: ``pandas``, written as one would by hand, and ``library``, semconv's own functions in a loop without Ray.
``over_single_process`` is the pandas seconds over ours. All three must give the same sequences.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.harness import command, growth, table
from benchmarks.phases import timed
from semconv.artifacts import Corpus
from semconv.config import CorpusSettings, SyntheticSettings
from semconv.corpus.build import build_corpus
from semconv.corpus.reading import clean_here, open_input
from semconv.corpus.synthetic import write_shop
from semconv.corpus.text import clean_text

K = 5
ROWS_PER_ITEM = 100
SEED = 17


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the largest input, about")
    parser.add_argument("--scratch", type=Path, default=None, help="folder for the inputs; none takes a temporary one")
    parser.add_argument("--rival", nargs=3, metavar=("NAME", "INPUT", "OUTPUT"), help=argparse.SUPPRESS)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All sizes, then the rivals on the largest."""
    rows = min(options.rows, 1_000_000) if options.quick else options.rows
    sizes = [rows // 10, round(rows / 10**0.5), rows]
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        folder = Path(scratch)
        runs = [_ours(folder, size) for size in sizes]
        shop = folder / f"shop-{sizes[-1]}"
        rivals = {name: _rival(name, shop, folder) for name in ("pandas", "library")}
        corpus = Corpus.open(folder / f"run-{sizes[-1]}" / "corpus")
        ours = _sequences(corpus)
        for name in rivals:
            theirs = pq.read_table(folder / f"{name}.parquet")
            if not theirs.equals(ours):
                raise AssertionError(f"the sequences of {name} are not ours")
    print(
        table(
            ["system", "rows", "seconds", "peak GiB"],
            [
                *(("pipelines.ingest", run["rows"], run["seconds"], run["peak_gib"]) for run in runs),
                *((name, runs[-1]["rows"], rival["seconds"], rival["peak_gib"]) for name, rival in rivals.items()),
            ],
        )
    )
    return {
        "rows": runs[-1]["rows"],
        "interactions": int(corpus.manifest.counts["interactions"]),
        "users": corpus.n_users,
        "seconds": runs[-1]["seconds"],
        "peak_gib": runs[-1]["peak_gib"],
        "growth": growth([run["rows"] for run in runs], [run["seconds"] for run in runs]),
        "over_single_process": rivals["pandas"]["seconds"] / runs[-1]["seconds"],
        "over_own_library": rivals["library"]["seconds"] / runs[-1]["seconds"],
        "sizes": {str(run["rows"]): run for run in runs},
        "single_process": rivals,
    }


def _ours(folder: Path, rows: int) -> dict[str, Any]:
    shop = SyntheticSettings(users=max(rows // 12, 1), items=max(rows // ROWS_PER_ITEM, 100), mean_events=12.0)
    write_shop(folder / f"shop-{rows}", shop, SEED)
    run = ["--run.root", str(folder), "--run.name", f"run-{rows}", "--corpus.k_core", str(K)]
    seconds, peak = timed(
        [sys.executable, "-m", "pipelines.ingest", "--corpus.path", str(folder / f"shop-{rows}"), *run]
    )
    counts = Corpus.open(folder / f"run-{rows}" / "corpus").manifest.counts
    return {"rows": int(counts["rows"]["interactions"]["rows"]), "seconds": seconds, "peak_gib": peak}


def _rival(name: str, shop: Path, folder: Path) -> dict[str, Any]:
    output = folder / f"{name}.parquet"
    seconds, peak = timed(
        [sys.executable, "-m", "benchmarks.ingest", "--out", "unused", "--rival", name, str(shop), str(output)]
    )
    return {"seconds": seconds, "peak_gib": peak}


def _sequences(corpus: Corpus) -> pa.Table:
    """User ids and item ids of every user, as the rivals write them."""
    items = corpus.items["item_id"].combine_chunks().take(pa.array(corpus.sequences.values))
    offsets = pa.array(corpus.sequences.offsets)
    return pa.table({"user_id": corpus.user_ids, "items": pa.LargeListArray.from_arrays(offsets, items)})


def by_library(shop: Path, output: Path) -> None:
    """semconv's own functions, one block after another in this process."""
    settings = CorpusSettings(path=str(shop), k_core=K)
    source = open_input(settings, SEED)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        build_corpus(
            Path(folder),
            settings,
            interactions=clean_here(source.interactions, source.clean_interactions),
            items=clean_here(source.items, source.clean_items),
            timed=source.timed,
        )
        sequences = pq.read_table(Path(folder) / "sequences")
        item_ids = pq.read_table(Path(folder) / "items", columns=["item_id"])["item_id"].combine_chunks()
    lists = sequences["items"].combine_chunks()
    items = pa.LargeListArray.from_arrays(lists.offsets.cast(pa.int64()), item_ids.take(lists.values))
    pq.write_table(pa.table({"user_id": sequences["user_id"].combine_chunks(), "items": items}), output)


def by_pandas(shop: Path, output: Path) -> None:
    """The same result as one would write it with pandas."""
    with gzip.open(shop / "items.jsonl.gz", "rt") as stream:
        items = pd.DataFrame([json.loads(line) for line in stream])
    for column in ("title", "brand", "description"):
        items[column] = [clean_text(text) if isinstance(text, str) else None for text in items[column]]
    items["categories"] = [[clean_text(name) for name in names] for names in items["categories"]]
    items = items.drop_duplicates("item_id")

    rows = pd.read_csv(shop / "interactions.csv.gz", dtype=str, keep_default_na=False)
    for column in ("user_id", "item_id"):
        rows[column] = rows[column].str.strip().str.replace(r"^(-?\d+)\.0+$", r"\1", regex=True)
    rows["user"], user_ids = pd.factorize(rows["user_id"])
    rows["item"], item_ids = pd.factorize(rows["item_id"])
    rows["timestamp"] = pd.to_numeric(rows["timestamp"], errors="coerce")
    rows["rating"] = pd.to_numeric(rows["rating"], errors="coerce")
    bad = (rows["user_id"] == "") | (rows["item_id"] == "") | rows["timestamp"].isna() | rows["rating"].isna()
    refused = rows[bad]
    rows = rows[~bad]
    rows = rows[["user", "item", "timestamp"]].drop_duplicates()
    while True:
        users, bought = rows["user"].value_counts(), rows["item"].value_counts()
        enough = (rows["user"].map(users) >= K) & (rows["item"].map(bought) >= K)
        if enough.all():
            break
        rows = rows[enough]
    rows = rows.sort_values(["user", "timestamp"], kind="stable")
    rows["item_id"] = item_ids.to_numpy()[rows["item"]]
    lists = rows.groupby("user", sort=False)["item_id"].agg(list)
    refused.to_parquet(output.with_suffix(".refused"))
    items.to_parquet(output.with_suffix(".items"))
    schema = pa.schema([("user_id", pa.string()), ("items", pa.large_list(pa.string()))])
    ids = pc.take(pa.array(user_ids.astype(str), pa.string()), pa.array(lists.index.to_numpy()))
    pq.write_table(pa.table([ids, pa.array(lists.to_list(), schema.field("items").type)], schema=schema), output)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The benchmark, or, in a process started by it, one rival."""
    if options.rival:
        name, shop, output = options.rival
        {"pandas": by_pandas, "library": by_library}[name](Path(shop), Path(output))
        raise SystemExit(0)
    return measure(options)


if __name__ == "__main__":
    command("ingest", run, arguments)
