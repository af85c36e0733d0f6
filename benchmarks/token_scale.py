"""Residual k-means, encoding and collisions on synthetic vectors of growing number.

Vectors of 256 dimensions, in clusters of a few hundred items around centres, spread as text and behaviour vectors are:
much along a few directions and little along many. ``seconds`` is fit, encode and collisions together, at the largest
size; ``peak_gib`` the whole process's, vectors included; ``growth`` the exponent over a tenth of the items, a third and
all. ``duplicates`` is the largest size once more, where half the items are exact copies of few others, `COPIES` of
each: its ``collisions`` are seconds, beside those of the same size without copies, ``collisions_plain``. Each
measurement runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import PeakMemory, growth, table
from semconv.config import TokenizeSettings
from semconv.tokens.collisions import resolve_collisions
from semconv.tokens.quality import collision_rate
from semconv.tokens.residual_kmeans import ResidualKMeans

WIDTH = 256
CLUSTERS = 4096
SPREAD = 0.7
"""Standard deviation within a cluster over that between clusters."""
COPIES = 500
SEED = 17


def scale(items: int) -> dict[str, Any]:
    """All sizes up to ``items``."""
    sizes = [items // 10, round(items / 10**0.5), items]
    with tempfile.TemporaryDirectory() as folder:
        runs = [_measured(size, Path(folder) / f"{size}.json") for size in sizes]
        copied = _measured(items, Path(folder) / "duplicates.json", "--duplicates")
    shown = ("items", "seconds", "fit", "encode", "collisions", "peak_gib", "collision_rate")
    print(table(shown, [[run[name] for name in shown] for run in [*runs, copied]]))
    return {
        "items": items,
        "seconds": runs[-1]["seconds"],
        "peak_gib": runs[-1]["peak_gib"],
        "growth": growth(sizes, [run["seconds"] for run in runs]),
        "sizes": {str(run["items"]): run for run in runs},
        "duplicates": {**copied, "collisions_plain": runs[-1]["collisions"]},
    }


def _measured(items: int, path: Path, *flags: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.token_scale", "--out", str(path), "--one-size", str(items), *flags]
    with subprocess.Popen(command) as process, PeakMemory(process.pid) as memory:
        status = process.wait()
    if status:
        raise subprocess.CalledProcessError(status, command)
    return {**json.loads(path.read_text()), "peak_gib": memory.peak_gib}


def one_size(items: int, *, duplicates: bool = False) -> dict[str, Any]:
    """Seconds of each step for this many items, in this process; of `with_copies` where ``duplicates``."""
    settings, vectors_ND = TokenizeSettings(), synthetic_vectors(items)
    if duplicates:
        vectors_ND = with_copies(vectors_ND)
    started = time.perf_counter()
    quantizer = ResidualKMeans.fit(
        vectors_ND, levels=settings.levels, codes=settings.codes, iterations=settings.iterations, seed=SEED
    )
    fitted = time.perf_counter()
    nearest_NL = quantizer.encode(vectors_ND)
    encoded = time.perf_counter()
    codes_NL = resolve_collisions(quantizer, vectors_ND, nearest_NL)
    done = time.perf_counter()
    return {
        "items": items,
        "seconds": done - started,
        "fit": fitted - started,
        "encode": encoded - fitted,
        "collisions": done - encoded,
        "collision_rate_before": collision_rate(nearest_NL),
        "collision_rate": collision_rate(codes_NL),
        "reassigned": int((codes_NL != nearest_NL).any(dim=1).sum()),
    }


def synthetic_vectors(items: int) -> torch.Tensor:
    """Clustered vectors, float32 (items, 256), the same at every call."""
    generator = torch.Generator().manual_seed(SEED)
    scales_D = torch.arange(1, WIDTH + 1).rsqrt()
    centres_KD = torch.randn(CLUSTERS, WIDTH, generator=generator)
    vectors_ND = torch.randn(items, WIDTH, generator=generator).mul_(SPREAD)
    for start in range(0, items, 65_536):
        block_BD = vectors_ND[start : start + 65_536]
        block_BD += centres_KD[torch.randint(CLUSTERS, (len(block_BD),), generator=generator)]
        block_BD *= scales_D
    return vectors_ND


def with_copies(vectors_ND: torch.Tensor) -> torch.Tensor:
    """The vectors, in place, of which the first half are now copies, `COPIES` of each vector that is left there."""
    half = len(vectors_ND) // 2
    for start in range(0, half, COPIES):
        vectors_ND[start : min(start + COPIES, half)] = vectors_ND[start].clone()
    return vectors_ND


if __name__ == "__main__":
    torch.set_num_threads(2)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.token_scale")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    parser.add_argument("--one-size", type=int, required=True, help="items")
    parser.add_argument("--duplicates", action="store_true", help="half of them copies")
    options = parser.parse_args()
    options.out.write_text(json.dumps(one_size(options.one_size, duplicates=options.duplicates)))
