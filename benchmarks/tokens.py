"""Code indexes of one catalogue held side by side, and tokenizing at scale.

python -m benchmarks.tokens --run runs/beauty --index FILE.csv.gz ... --out FILE.json
python -m benchmarks.tokens --items 1_000_000 --out FILE.json

With ``--run``: the run's own codes and those of any files go through the same quality report, and the compact model is
trained from the run's ``base`` on each for the same steps, with the same seeds, data and schedule; ``compact_ndcg@10``
is its mean NDCG@10 on validation users, seen items kept, ``.._over_baseline`` how much that is over the run's own
codes. ``cold_first_code`` refits the run's tokenizer without a tenth of the items and gives them codes from their text
alone. ``--report DIR`` writes the report as JSON, Markdown and HTML. With ``--items``: see `benchmarks.token_scale`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.cold_items import cold_first_code
from benchmarks.compact_training import Course, compact_figures, open_run
from benchmarks.harness import command
from benchmarks.pure_svd import pure_svd
from benchmarks.token_scale import scale
from benchmarks.trainings import gains_by_index
from semconv.artifacts import ItemTokens
from semconv.config import TokenizeSettings
from semconv.errors import SettingError
from semconv.evaluation.index_write import write_index_reports
from semconv.tokens.index import CodeIndex, index_name, read_index
from semconv.tokens.index_report import IndexReport, Space, Yardstick, index_report
from semconv.tokens.tokenizer import ItemTokenizer, modalities_of
from semconv.training.align import Inputs

OURS = "ours"
SEED = 17


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--run", type=Path, help="folder of a run that has corpus, vectors, base and tokens")
    parser.add_argument("--index", type=Path, nargs="*", default=[], metavar="FILE.csv.gz", help="indexes to compare")
    parser.add_argument("--codes", type=int, help="codes a level of those indexes, if not as many as the run's")
    parser.add_argument("--report", type=Path, metavar="DIR", help="folder for the quality report")
    parser.add_argument("--steps", type=int, default=1000, help="training steps of the compact model; 0 trains none")
    parser.add_argument("--seeds", type=int, default=3, help="how often it is trained on each index")
    parser.add_argument("--workers", type=int, default=2, help="trainings at a time, each on one thread")
    parser.add_argument("--users", type=int, default=5000, help="validation users that it is asked about, at most")
    parser.add_argument("--items", type=int, help="synthetic items of the largest size")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Whichever of the two was asked for, or both."""
    if not options.run and not options.items:
        raise SettingError("Neither a run nor a number of items is given", "Give --run DIR, --items N, or both")
    results: dict[str, Any] = {}
    if options.run:
        results["indexes"] = compare(options)
    if options.items:
        results |= scale(min(options.items, 100_000) if options.quick else options.items)
    return results


def compare(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Figures by index, the run's own first."""
    inputs = open_run(options.run)
    corpus, tokens = inputs.corpus, inputs.tokens
    names = [OURS, *map(index_name, options.index)]
    if len(set(names)) < len(names):
        raise SettingError(f"Two indexes have the same name among {', '.join(names)}", "Rename a file")
    indexes = [CodeIndex(OURS, tokens.codes, tokens.codes_per_level)]
    indexes += [read_index(path, corpus.item_ids, options.codes or tokens.codes_per_level) for path in options.index]

    yardstick = yardstick_of(inputs)
    stored = json.loads((tokens.path / "quality.json").read_text())
    reports = [index_report(index, yardstick, stored if index.name == OURS else None) for index in indexes]
    results = {report.name: figures(report) for report in reports}
    results[OURS] |= cold_first_code(inputs, settings_of(tokens), SEED)
    course = Course(
        steps=min(options.steps, 100) if options.quick else options.steps,
        seeds=tuple(range(SEED, SEED + (1 if options.quick else options.seeds))),
        users=min(options.users, 500) if options.quick else options.users,
    )
    if course.steps:
        gains = gains_by_index(indexes, options.run, course, options.workers)
        for name, gains_SU in gains.items():
            results[name] |= compact_figures(gains_SU, gains[OURS])
    if options.report:
        options.report.mkdir(parents=True, exist_ok=True)
        write_index_reports(options.report, f"Item codes of {options.run.resolve().name}", reports)
    return results


def yardstick_of(inputs: Inputs) -> Yardstick:
    """What indexes of the run's catalogue are held against.

    The tokenizer of appended tokens was fitted on behaviour vectors of another run, so that there is no fused space.
    """
    vectors, tokens = inputs.vectors, inputs.tokens
    spaces = {
        "text": Space(vectors.text, vectors.has_text),
        "behaviour": Space(vectors.behaviour, vectors.has_behaviour),
        "cooccurrence": pure_svd(inputs.corpus, SEED),
    }
    if not tokens.ancestors:
        fused_ND = ItemTokenizer.open(tokens).fusion(modalities_of(vectors, settings_of(tokens)))
        spaces["fused"] = Space(fused_ND, vectors.has_text | vectors.has_behaviour)
    return Yardstick.of(inputs.corpus, spaces, seed=SEED)


def settings_of(tokens: ItemTokens) -> TokenizeSettings:
    """The settings that the tokens were made with."""
    return TokenizeSettings(**tokens.manifest.settings["tokenize"])


def figures(report: IndexReport) -> dict[str, Any]:
    """The figures of an index that are compared, by name; those of a level by its number, from 1."""
    found = report.figures
    first, second = (found["next_prefix"].get(length) or {} for length in ("1", "2"))
    kept = {name: values or {} for name, values in found["neighbours"].items()}
    return {
        "unique_tuples": found["unique_tuples"],
        "collision_rate": found["collision_rate"],
        "usage": by_level(found["usage"]),
        "perplexity": by_level(found["perplexity"]),
        "neighbours_text": kept["text"].get("codes"),
        "neighbours_behaviour": kept["behaviour"].get("codes"),
        "neighbours_cooccurrence": kept["cooccurrence"].get("codes"),
        "neighbours_text_by_prefix": kept["text"].get("prefixes"),
        "neighbours_behaviour_by_prefix": kept["behaviour"].get("prefixes"),
        "next_prefix_entropy": first.get("entropy"),
        "next_prefix_information": first.get("information"),
        "next_prefix_normalised": first.get("normalised"),
        "next_item_bits": first.get("item_bits"),
        "next_two_codes_information": second.get("information"),
        "purity_of_first_code": found["purity"] and found["purity"][1]["chance"],
    }


def by_level(values: Sequence[float]) -> dict[str, float]:
    """Values by number of level, from 1."""
    return {str(level): value for level, value in enumerate(values, 1)}


if __name__ == "__main__":
    torch.set_num_threads(2)
    command("tokens", measure, arguments)
