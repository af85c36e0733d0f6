"""Alignment training in the token spelling: against a row per target, against the stock model, against waiting.

python -m benchmarks.training --out FILE.json [--threads N] [--precision bf16|float32|auto]

Random weights of a Qwen3 shape, random items, sequences as long as Beauty's users': from the reference data beside the
checkout, or drawn like them. What is compared takes turns in every round; a ratio is the median of the rounds' own.
Both sides compute in the same precision: bf16, or the one asked for (``auto``: what a training takes by itself).

histories                             "beauty" or "synthetic"
precision                             "bf16" or "float32"
targets_per_s_over_row_per_target     items learned a second (forward, backward, AdamW) over those of the usual way: a
                                      row for each, at most 20 items before it, rows of about one length together,
                                      padded to the longest, batches of as many places, stock model and loss; same users
targets_per_s                         ours alone, with the engine ``plain``
tokens_per_target                     ours, and the rival's, both with padding: an item is four tokens
fwd_bwd_over_stock                    forward and backward of the stock model on the same texts packed in the same rows,
                                      with mask and positions, over ours; weights in that precision, same loss, gradient
fwd_bwd_over_stock_shared_openings    ours as it trains: the opening that all histories share is read once for all
matmul_share                          model FLOP/s of our forward and backward over matmul_gflops, see `model_flop`
matmul_gflops                         a product of two square matrices in the precision, on the same threads
input_stall                           share of a training's time that is waited for data, from written examples, on
                                      the demo shape, which asks for them faster than larger ones
ray_overhead                          seconds a step in Ray Train with DeepSpeed (ZeRO 1) over the same loop and engine
                                      in a process of its own, see `benchmarks.training_cluster`; not with ``--quick``
ray_overhead_cpu                      the same in processor time of the training process
ray_overhead_precision                of both, on the CPU
gpu.mfu                               model FLOP/s of Qwen3-0.6B steps in bf16 over the GPU's peak; on a GPU only
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, get_args

import numpy as np
import torch

from benchmarks.decode_models import CPU_SHAPES, GPU_SHAPES, LEVELS, Shape, device, language_model
from benchmarks.harness import command
from benchmarks.laps import ratio, run_laps
from benchmarks.training_rival import Stock, grouped_batches, target_rows
from benchmarks.training_users import BEAUTY, Sequences, batches_of, training_sequences
from semconv.llm.packed_causal import IGNORED, PackedCausal, TokenBatch
from semconv.llm.packing import block_mask
from semconv.precision import Chosen, Precision, precision_on
from semconv.training.loop import Plan, train
from semconv.training.plain import PlainEngine
from semconv.training.watch import Unwatched

RATE = 1e-4
PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""Dense bf16, as the maker says; other GPUs are compared with the product measured here."""
MFU_USERS = 512
DTYPES: Mapping[Precision, torch.dtype] = {"bf16": torch.bfloat16, "float32": torch.float32}


@dataclass(frozen=True)
class Size:
    """What is measured on: ``users`` a batch, ``rounds`` behind a median, ``steps`` of the training for the stall."""

    shape: Shape
    users: int
    rounds: int
    steps: int
    stalled: Shape
    square: int


FULL = Size(CPU_SHAPES["40m"], users=128, rounds=5, steps=60, stalled=CPU_SHAPES["demo"], square=4096)
QUICK = Size(CPU_SHAPES["demo"], users=16, rounds=2, steps=20, stalled=CPU_SHAPES["demo"], square=2048)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--threads", type=int, help="compute threads; none takes torch's choice")
    parser.add_argument("--rounds", type=int, help="rounds behind each median")
    parser.add_argument("--precision", choices=get_args(Chosen), default="bf16", help="auto: as align.precision")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All results; see the module's own text."""
    if options.threads:
        torch.set_num_threads(options.threads)
    size = QUICK if options.quick else FULL
    source = BEAUTY if BEAUTY.exists() else None
    precision = precision_on(device().type, options.precision)
    results = figures(size, source, options.rounds or size.rounds, precision)
    if not options.quick:
        from benchmarks.training_cluster import ray_overhead

        _say("Ray Train beside one process")
        on_cpu = precision_on("cpu", options.precision)
        results["ray_overhead_precision"] = on_cpu
        results |= ray_overhead(CPU_SHAPES["demo"], source, torch.get_num_threads(), on_cpu)
    if torch.cuda.is_available():
        _say("a larger model on the GPU")
        results["gpu"] = {"mfu": _mfu(GPU_SHAPES["qwen3-0.6b"], source)}
    return results


def figures(size: Size, source: Path | None, rounds: int, precision: Precision) -> dict[str, Any]:
    """What needs no cluster."""
    found: dict[str, Any] = {"histories": "synthetic" if source is None else "beauty", "precision": precision}
    _say("a row per target")
    found |= _over_row_per_target(size, source, rounds, precision)
    _say("the stock model")
    found |= _over_stock(size, source, rounds, DTYPES[precision])
    _say("waiting for data")
    return found | {"input_stall": _input_stall(size, source, precision)}


def _say(what: str) -> None:
    print(f"training: {what}", file=sys.stderr, flush=True)


def _over_row_per_target(size: Size, source: Path | None, rounds: int, precision: Precision) -> dict[str, Any]:
    """Both ways learn the same users in all: a round is a batch of ours, and an even share of the rival's batches."""
    training = training_sequences(size.users * (rounds + 1), source)
    sequences = Sequences(training, size.shape["vocab_size"])
    batches = batches_of(sequences, size.users)
    ours = [batches(0, step) for step in range(batches.steps)][: rounds + 1]
    rows = target_rows(sequences, list(training))
    grouped = grouped_batches(rows, int(np.mean([portion.positions for portion in ours])))
    theirs = [grouped[lap :: rounds + 1] for lap in range(rounds + 1)]
    model, stock = (language_model(size.shape, torch.float32) for _ in range(2))
    engine = PlainEngine(PackedCausal(model), weight_decay=0.05, precision=precision)
    rival = PlainEngine(Stock(stock), weight_decay=0.05, precision=precision)
    our_turn, their_turn = iter(ours), iter(theirs)

    def our_way() -> None:
        engine.step(next(our_turn).parts, RATE)

    def their_way() -> None:
        for batch in next(their_turn):
            rival.step([batch], RATE)

    laps = run_laps({"ours": our_way, "theirs": their_way}, rounds)
    our_rates, their_rates = (
        [targets / took for targets, took in zip(learned[1:], laps[name], strict=True)]
        for name, learned in {
            "ours": [portion.targets / LEVELS for portion in ours],
            "theirs": [sum(len(batch.ids_RT) for batch in share) for share in theirs],
        }.items()
    )
    places = sum(part.segments_RT.numel() for portion in ours for part in portion.parts)
    return {
        "targets_per_s_over_row_per_target": median(
            mine / yours for mine, yours in zip(our_rates, their_rates, strict=True)
        ),
        "targets_per_s": median(our_rates),
        "tokens_per_target": {
            "ours": places * LEVELS / sum(portion.targets for portion in ours),
            "row_per_target": sum(batch.ids_RT.numel() for batch in grouped) / len(rows),
        },
    }


def _over_stock(size: Size, source: Path | None, rounds: int, dtype: torch.dtype) -> dict[str, Any]:
    """Forward and backward of one packed batch, ours and the stock model's, and a large product beside them."""
    sequences = Sequences(training_sequences(size.users, source), size.shape["vocab_size"])
    shared, batch = (
        batches_of(sequences, len(sequences.windows), share=share)(0, 0).parts[0].to(device())
        for share in (True, False)
    )
    ours = PackedCausal(language_model(size.shape, dtype)).train()
    stock = language_model(size.shape, dtype).train()
    labels_RT = torch.full_like(batch.labels_RT, IGNORED)
    labels_RT[:, 1:] = batch.labels_RT[:, :-1]

    def our_loss(given: TokenBatch) -> torch.Tensor:
        loss: torch.Tensor = ours(given)
        return loss

    def stock_loss() -> torch.Tensor:
        loss: torch.Tensor = stock(
            input_ids=batch.ids_RT,
            attention_mask=block_mask(batch.segments_RT),
            position_ids=batch.positions_RT,
            labels=labels_RT,
            use_cache=False,
        ).loss
        return loss

    left = torch.randn(size.square, size.square, device=device()).to(dtype)
    right = torch.randn_like(left)
    timed = {
        "ours": lambda: _backward(lambda: our_loss(shared), ours),
        "same rows": lambda: _backward(lambda: our_loss(batch), ours),
        "stock": lambda: _backward(stock_loss, stock),
        "product": lambda: left @ right,
    }
    laps = run_laps(timed, rounds)
    rate = 2 * size.square**3 / median(laps["product"])
    done = model_flop(size.shape, shared)
    return {
        "fwd_bwd_over_stock": ratio(laps, "stock", "same rows"),
        "fwd_bwd_over_stock_shared_openings": ratio(laps, "stock", "ours"),
        "matmul_share": median(
            done / mine / (2 * size.square**3 / product)
            for mine, product in zip(laps["ours"], laps["product"], strict=True)
        ),
        "matmul_gflops": rate / 1e9,
        "fwd_bwd_s": median(laps["ours"]),
    }


def _backward(loss_of: Callable[[], torch.Tensor], model: torch.nn.Module) -> None:
    torch.autograd.backward(loss_of())
    model.zero_grad(set_to_none=True)


def model_flop(shape: Shape, batch: TokenBatch) -> float:
    """Least FLOP of a forward and backward pass: 6 for every weight of a layer's matrices and every token, 6 for every
    weight of the output projection and every position asked for, and 12 for every layer, every unit of all heads'
    width, and every pair of tokens that attend (a segment of n has n (n + 1) / 2). Padding counts for nothing.
    """
    width, layers, heads = shape["hidden_size"], shape["num_hidden_layers"], shape["num_attention_heads"]
    all_heads = heads * shape["head_dim"]
    key_heads = shape["num_key_value_heads"] * shape["head_dim"]
    layer = width * (2 * all_heads + 2 * key_heads + 3 * shape["intermediate_size"])
    real = batch.segments_RT > 0
    pairs = int((batch.positions_RT[real] + 1).sum())
    head = width * shape["vocab_size"] * len(batch.asked_P)
    return 6.0 * (layers * layer * int(real.sum()) + head) + 12.0 * layers * all_heads * pairs


class _Stall(Unwatched):
    """Keeps the share of waiting that each point of the curves tells."""

    def __init__(self) -> None:
        self.waiting: list[float] = []

    def point(self, step: int, values: Mapping[str, float]) -> None:  # noqa: ARG002  # `Watch`
        """See `Watch`."""
        self.waiting += [values["waiting"]] if "waiting" in values else []


def _input_stall(size: Size, source: Path | None, precision: Precision) -> float:
    """The mean over the points of a training, whose first waits for the first batch."""
    training = training_sequences(size.users * size.steps, source)
    model = PackedCausal(language_model(size.stalled, torch.float32))
    with tempfile.TemporaryDirectory() as folder:
        written = Sequences(training, size.stalled["vocab_size"]).write(Path(folder) / "examples")
        stall = _Stall()
        plan = Plan(epochs=1, steps=size.steps, learning_rate=RATE, warmup=0.05, seed=0)
        train(PlainEngine(model, precision=precision), batches_of(written, size.users), plan, watch=stall)
    return float(np.mean(stall.waiting))


def _mfu(shape: Shape, source: Path | None) -> float:
    """Model FLOP/s of whole steps, clipping and float32 weights and all, over the peak of the GPU."""
    sequences = Sequences(training_sequences(MFU_USERS, source), shape["vocab_size"])
    batch: TokenBatch = batches_of(sequences, len(sequences.windows))(0, 0).parts[0].to(device())
    engine = PlainEngine(PackedCausal(language_model(shape, torch.float32)), precision="bf16")
    seconds = median(run_laps({"step": lambda: engine.step([batch], RATE)}, 10)["step"])
    return model_flop(shape, batch) / seconds / _peak_flops()


def _peak_flops() -> float:
    name = torch.cuda.get_device_name()
    known = [peak for gpu, peak in PEAK_FLOPS.items() if gpu in name]
    if known:
        return known[0]
    left = torch.randn(8192, 8192, device=device(), dtype=torch.bfloat16)
    return 2 * 8192**3 / median(run_laps({"product": lambda: left @ left}, 20)["product"])


if __name__ == "__main__":
    command("training", measure, arguments)
