"""Constrained decoding beside Hugging Face ``generate``, in prefills.

python -m benchmarks.decode --out FILE.json [--index CODES.csv.gz]

Codes are those of the file, or of ``letter_native`` in the reference data beside the checkout, or else synthetic.

A prefill is the backbone's forward pass over the prompts, without the output projection. Both sides compute in bf16
on random weights of Qwen3 shapes, over prompts that share no prefix. All systems take turns in every round; a ratio is
the median of the rounds' own ratios, so that a machine that slows down for a while slows both sides.

codes                                file name of the index, or "synthetic"
models.<name>.hf_over_ours           seconds of ``generate`` over ours, both scored over the full vocabulary
models.<name>.ours_over_prefill      seconds of our whole search over a prefill, by scoring
models.<name>.token_bound            tokens that any search must read over the prompts', by scoring
models.<name>.identical_topk         share of users for whom both give the same list, in float32
models.<name>.users_per_s            legal scoring
compact.search_over_prefill          all but the backbone (reading input, depth decoder, search) over the backbone
compact.users_per_s_over_tokens      the compact model's users per second over the token model's, same histories
mask.<items>.ms                      finding the legal codes of all beams, mean of the levels, in milliseconds
mask.<items>.children                how many these are on average: more in a larger catalogue, until nodes are full
mask.<items>.build_s, .trie_mib      building the trie of so many random tuples, and what it holds
vocabulary.<size>.ours_over_prefill  full scoring, whose normaliser grows with the vocabulary
sweeps                               ours over a prefill, by beams, prompt length and batch; drawn in FILE.html
gpu.<setting>.<scoring>              ms a batch and users a second, on a GPU only; see `benchmarks.decode_served`
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.decode_models import (
    CODES,
    CPU_SHAPES,
    GPU_SHAPES,
    LEVELS,
    SCORINGS,
    Shape,
    catalogue_trie,
    code_tokens,
    compact_model,
    device,
    language_model,
    random_prompts,
    read_index,
    synthetic_codes,
    token_model,
)
from benchmarks.decode_served import SERVED, served
from benchmarks.generate import Continuations, agrees, generate
from benchmarks.harness import command
from benchmarks.laps import Timed, ratio, run_laps
from benchmarks.token_bound import token_bound
from semconv.artifacts.ragged import Int32
from semconv.evaluation.charts import Line, line_chart
from semconv.evaluation.style import STYLE
from semconv.llm.search import Scoring, beam_search
from semconv.llm.trie import Trie

BATCH, PROMPT, BEAMS = 16, 100, 20
COMPACT_ITEMS, COMPACT_BEAMS = 20, 50
CATALOGUE = 12_101
MASKED = (10_000, 100_000, 1_000_000, 10_000_000)
VOCABULARIES = (8192, 32_768, 151_936)
QUICK_SWEEPS = {"beams": (5, 20)}
SWEEPS = {"beams": (5, 10, 20, 50, 100, 256), "prompt": (50, 100, 200, 500, 1000), "batch": (1, 4, 16, 64)}
INDEX = Path(__file__).parents[2] / "shared" / "data" / "beauty" / "indexes" / "letter_native.csv.gz"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--index", type=Path, help="published codes (CSV.gz) to decode")
    parser.add_argument("--rounds", type=int, default=7, help="rounds behind each median")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All results; see the module's own text."""
    index = options.index or (INDEX if INDEX.exists() else None)
    codes_NL = read_index(index) if index else synthetic_codes(CATALOGUE)
    quick = bool(options.quick)
    rounds = 1 if quick else options.rounds
    shapes = CPU_SHAPES | (GPU_SHAPES if torch.cuda.is_available() else {})
    results: dict[str, Any] = {"codes": index.name if index else "synthetic", "models": {}}
    for name, shape in list(shapes.items())[: 1 if quick else None]:
        _say(f"{name} beside generate")
        results["models"][name] = _against_generate(shape, codes_NL, rounds)
    _say("compact model")
    results["compact"] = _compact(CPU_SHAPES["demo" if quick else "40m"], codes_NL, rounds)
    _say("masks")
    results["mask"] = {str(items): _mask(items) for items in MASKED[: 2 if quick else None]}
    page = options.out.with_suffix(".html")
    if quick:
        results["sweeps"] = _sweeps(QUICK_SWEEPS, codes_NL, 1, page)
        return results
    _say("vocabularies")
    results["vocabulary"] = {
        str(size): {"ours_over_prefill": _over_prefill(CPU_SHAPES["40m"] | {"vocab_size": size}, codes_NL, 5)}
        for size in VOCABULARIES
    }
    results["sweeps"] = _sweeps(SWEEPS, codes_NL, 9, page)
    if torch.cuda.is_available():
        _say("settings of serving engines")
        results["gpu"] = {name: served(setting, codes_NL, 9) for name, setting in SERVED.items()}
    return results


def _say(what: str) -> None:
    print(f"decode: {what}", file=sys.stderr, flush=True)


def _against_generate(shape: Shape, codes_NL: Int32, rounds: int) -> dict[str, Any]:
    """One shape: ours beside the rival's, and beside a prefill."""
    trie, model = catalogue_trie(codes_NL), language_model(shape, torch.bfloat16)
    tokens_LC = code_tokens(model)
    prompts = random_prompts(BATCH, PROMPT, int(tokens_LC.min()))
    legal = Continuations(_tuples(tokens_LC, codes_NL))
    needed = {scoring: token_bound(model, tokens_LC, codes_NL, prompts, BEAMS, scoring) for scoring in SCORINGS}
    bound = {scoring: tokens / (BATCH * PROMPT) for scoring, tokens in needed.items()}
    rival = {"rival": lambda: generate(model, prompts, legal, BEAMS)}
    laps = run_laps(_timed(model, trie, prompts, BEAMS) | rival, rounds)
    over_prefill = {scoring: ratio(laps, scoring, "prefill") for scoring in SCORINGS}
    exact = language_model(shape, torch.float32)
    found = beam_search(token_model(exact), trie, prompts, BEAMS, BEAMS, "full")
    same = [
        agrees(list(zip(items.tolist(), scores.tolist(), strict=True)), legal.items_of(answer), BEAMS)
        for items, scores, answer in zip(found.items, found.scores, generate(exact, prompts, legal, BEAMS), strict=True)
    ]
    return {
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "prefill_s": median(laps["prefill"]),
        "hf_over_prefill": ratio(laps, "rival", "prefill"),
        "hf_over_ours": ratio(laps, "rival", "full"),
        "ours_over_prefill": over_prefill,
        "token_bound": bound,
        "legal_over_bound": over_prefill["legal"] / bound["legal"],
        "identical_topk": float(np.mean(same)),
        "users_per_s": BATCH / median(laps["legal"]),
    }


def _tuples(tokens_LC: torch.Tensor, codes_NL: Int32) -> list[tuple[int, ...]]:
    """The token tuple of every item."""
    return list(map(tuple, tokens_LC.numpy()[np.arange(LEVELS), codes_NL].tolist()))


def _timed(model: Any, trie: Trie, prompts: Sequence[Int32], beams: int) -> dict[str, Timed]:
    """A prefill and both searches, ready to be timed."""
    ids = torch.from_numpy(np.stack(prompts)).long().to(model.device)
    beam_model = token_model(model)

    @torch.no_grad()
    def prefill() -> None:
        model.base_model(input_ids=ids, use_cache=False)

    def search(scoring: Scoring) -> Timed:
        return lambda: beam_search(beam_model, trie, prompts, beams, beams, scoring)

    return {"prefill": prefill, **{scoring: search(scoring) for scoring in SCORINGS}}


def _compact(shape: Shape, codes_NL: Int32, rounds: int) -> dict[str, float]:
    """The compact model beside its own backbone and beside the token model, on the same histories."""
    trie = catalogue_trie(codes_NL)
    histories = random_prompts(BATCH, COMPACT_ITEMS, len(codes_NL))
    compact, model = compact_model(shape, codes_NL, torch.bfloat16), language_model(shape, torch.bfloat16)
    tokens = token_model(model)
    ids_NL = code_tokens(model).numpy()[np.arange(LEVELS), codes_NL].astype(np.int32)
    prompts = [ids_NL[history].ravel() for history in histories]
    inputs = torch.randn(BATCH, COMPACT_ITEMS + 1, shape["hidden_size"]).to(compact.backbone.device, torch.bfloat16)

    @torch.no_grad()
    def prefill() -> None:
        compact.backbone(inputs_embeds=inputs, use_cache=False)

    k = COMPACT_BEAMS
    laps = run_laps(
        {
            "prefill": prefill,
            "compact": lambda: beam_search(compact, trie, histories, k, k, "legal"),
            "tokens": lambda: beam_search(tokens, trie, prompts, k, k, "legal"),
        },
        5 * rounds,
    )
    return {
        "prefill_s": median(laps["prefill"]),
        "search_over_prefill": ratio(laps, "compact", "prefill") - 1,
        "users_per_s": BATCH / median(laps["compact"]),
        "users_per_s_over_tokens": ratio(laps, "tokens", "compact"),
    }


def _mask(items: int) -> dict[str, float]:
    """A trie of random codes: building it, its size, and finding the legal codes of B * K random nodes."""
    codes_NL = torch.randint(0, CODES, (items, LEVELS), device=device())
    began = time.perf_counter()
    trie = Trie.build(codes_NL, CODES)
    built = time.perf_counter() - began
    generator = torch.Generator().manual_seed(items)
    total, children = 0.0, 0
    for level in range(LEVELS):
        above = trie.nodes(level - 1) if level else 1
        parents = torch.randint(0, above, (BATCH, BEAMS if level else 1), generator=generator).to(device())
        live = torch.ones_like(parents, dtype=torch.bool)

        def legal(level: int = level, parents: torch.Tensor = parents, live: torch.Tensor = live) -> torch.Tensor:
            return trie.codes[level][trie.children(level, parents, live).node_T]

        total += median(run_laps({"legal": legal}, 50)["legal"])
        children += len(legal())
    per_level = {"ms": total / LEVELS * 1e3, "children": children / LEVELS}
    return {**per_level, "build_s": built, "trie_mib": trie.nbytes / 2**20}


def _over_prefill(
    shape: Shape,
    codes_NL: Int32,
    rounds: int,
    *,
    batch: int = BATCH,
    prompt: int = PROMPT,
    beams: int = BEAMS,
) -> dict[str, float]:
    """Our search over a prefill, by scoring, with one thing changed."""
    model = language_model(shape, torch.bfloat16)
    prompts = random_prompts(batch, prompt, int(code_tokens(model).min()))
    laps = run_laps(_timed(model, catalogue_trie(codes_NL), prompts, beams), rounds)
    return {scoring: ratio(laps, scoring, "prefill") for scoring in SCORINGS}


def _sweeps(
    sweeps: Mapping[str, tuple[int, ...]], codes_NL: Int32, rounds: int, page: Path
) -> dict[str, dict[str, dict[str, float]]]:
    """Ours over a prefill on the small shape, one quantity swept at a time; draws them on ``page``."""
    swept: dict[str, dict[str, dict[str, float]]] = {}
    charts = []
    for name, values in sweeps.items():
        _say(f"sweep over {name}")
        rows = {value: _over_prefill(CPU_SHAPES["demo"], codes_NL, rounds, **{name: value}) for value in values}
        swept[name] = {str(value): row for value, row in rows.items()}
        lines = [
            Line(scoring, [(value, row[scoring]) for value, row in rows.items()], look)
            for scoring, look in zip(SCORINGS, ("a", "b"), strict=True)
        ]
        charts.append(line_chart(f"Search over prefill, by {name}", lines, x_label=name))
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Decoding</title><style>{STYLE}</style>'
        f"<main><h1>Constrained decoding, in prefills</h1>{''.join(charts)}</main></html>\n"
    )
    return swept


if __name__ == "__main__":
    command("decode", measure, arguments)
