"""DeepSpeed as an `Engine`: bf16 or float32, ZeRO stage 0 to 3, GPUs with NCCL or CPUs with gloo.

DeepSpeed is imported only when an engine is made. Its checkpoints are pickles and stay private to their run.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from semconv.errors import ArtifactError
from semconv.llm.rows import gate_of
from semconv.precision import Precision
from semconv.training.engine import Step
from semconv.training.optim import parameter_groups, set_learning_rate
from semconv.training.plain import put_weights

_TAG = "state"


BUCKET = 50_000_000
"""Elements that ranks reduce or gather at a time; the buffers for them lie beside the model."""


def deepspeed_config(
    *,
    batch_size: int,
    zero_stage: int,
    precision: Precision,
    clip: float,
    accumulate: int = 1,
    offload: str = "none",
    bucket: int = BUCKET,
) -> dict[str, Any]:
    """DeepSpeed's own settings; ``batch_size`` is per rank and only bookkeeping, batches come packed.

    In bf16, stage 0 runs as stage 1: DeepSpeed 0.19 keeps float32 originals of bf16 weights from stage 1 on only.
    Without ZeRO it would divide by the number of parts, so it is not told of them. A gradient that is no number is not
    skipped over in silence: the loop sees its norm and ends.
    """
    stage = max(zero_stage, 1) if precision == "bf16" else zero_stage
    accumulate = accumulate if stage else 1
    zero: dict[str, Any] = {"stage": stage, "reduce_bucket_size": bucket, "allgather_bucket_size": bucket}
    if stage == 3:
        zero |= {"stage3_param_persistence_threshold": 10_000, "stage3_prefetch_bucket_size": bucket}
    home = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
    if offload != "none":
        zero |= {"offload_optimizer": home}
    if offload == "parameters":
        zero |= {"offload_param": home}
    return {
        "train_micro_batch_size_per_gpu": max(1, batch_size // accumulate),
        "gradient_accumulation_steps": accumulate,
        "gradient_clipping": clip if stage else 0.0,
        "zero_optimization": zero,
        "bf16": {"enabled": precision == "bf16", "check_grad_overflow": False},
        "steps_per_print": 2**31 - 1,
        "wall_clock_breakdown": False,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    }


class DeepSpeedEngine:
    """An `Engine` over the process group of `torch.distributed`, which it makes from the environment if need be."""

    def __init__(
        self,
        build: Callable[[], nn.Module],
        *,
        batch_size: int,
        zero_stage: int,
        precision: Precision,
        weight_decay: float = 0.0,
        clip: float = 1.0,
        accumulate: int = 1,
        offload: str = "none",
        bucket: int = BUCKET,
    ) -> None:
        """``build`` makes the model, the same on every rank; it is called again where whole weights need a home.

        ``accumulate``: parts a step has at most; ``offload``: ``none``, ``optimizer`` or ``parameters``, what lies in
        the CPU's memory; ``bucket``: elements that ranks reduce or gather at a time.
        """
        cuda = torch.cuda.is_available()
        if not cuda:
            os.environ.setdefault("DS_ACCELERATOR", "cpu")
        import deepspeed

        logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
        deepspeed.init_distributed(dist_backend="nccl" if cuda else "gloo", auto_mpi_discovery=False, verbose=False)
        self._deepspeed = deepspeed
        self._build = build
        self._zero_stage = zero_stage
        self.precision = precision
        self._clip = clip
        model = build().train()
        self._gate = gate_of(model)
        optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay), betas=(0.9, 0.98), fused=zero_stage < 3)
        self._engine, self._optimizer, _, _ = deepspeed.initialize(
            model=model,
            optimizer=optimizer,
            config=deepspeed_config(
                batch_size=batch_size,
                zero_stage=zero_stage,
                precision=precision,
                clip=clip,
                accumulate=accumulate,
                offload=offload,
                bucket=bucket,
            ),
            dist_init_required=False,
        )
        self._twin: nn.Module | None = None
        self.rank: int = torch.distributed.get_rank()
        self.world: int = torch.distributed.get_world_size()

    def step(self, parts: Sequence[Any], learning_rate: float, *, rows_alone: bool = False) -> Step:
        """See `Engine`."""
        rows_alone = rows_alone and self._gate is not None
        if self._gate is not None:
            self._gate.alone = rows_alone
        set_learning_rate(self._optimizer.param_groups, learning_rate, rows_alone=rows_alone)
        losses = []
        for number, part in enumerate(parts, start=1):
            self._engine.set_gradient_accumulation_boundary(number == len(parts))
            loss: torch.Tensor = self._engine(part.to(self._engine.device))
            self._engine.backward(loss, scale_wrt_gas=False)
            if number < len(parts):
                self._engine.step()
            losses.append(loss.detach())
        return Step(torch.stack(losses).sum(), self._update())

    def _update(self) -> torch.Tensor:
        """Clip and update; the gradient's norm, which DeepSpeed clips by itself from ZeRO-1 on."""
        if self._engine.zero_optimization_stage() == 0:
            norm = torch.nn.utils.clip_grad_norm_(self._engine.module.parameters(), self._clip)
            self._engine.step()
            return norm
        self._engine.step()
        return torch.as_tensor(self._engine.get_global_grad_norm(), device=self._engine.device)

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """See `Engine`."""
        values = values.to(self._engine.device)
        torch.distributed.all_reduce(values)
        return values.cpu()

    @contextmanager
    def evaluating(self) -> Iterator[nn.Module]:
        """See `Engine`; under ZeRO-3 a second, whole model is filled on every rank."""
        if self._zero_stage < 3:
            self._engine.module.eval()
            try:
                yield self._engine.module
            finally:
                self._engine.module.train()
            return
        if self._twin is None:
            self._twin = self._build().to(self._engine.device).eval()
        put_weights(self._twin, self.weights())
        yield self._twin

    def weights(self) -> dict[str, torch.Tensor]:
        """See `Engine`; the float32 originals of the optimizer, gathered."""
        from deepspeed.utils import safe_get_full_fp32_param

        whole: dict[str, torch.Tensor] = {}
        for name, parameter in self._engine.module.named_parameters():
            if not parameter.requires_grad:
                continue
            master = safe_get_full_fp32_param(parameter)
            found = parameter if master is None else master
            whole[name] = found.detach().to("cpu", torch.float32, copy=True).view(_shape(parameter))
        return whole

    def save(self, folder: Path) -> None:
        """See `Engine`."""
        self._engine.save_checkpoint(str(folder), tag=_TAG, save_latest=False)

    def load(self, folder: Path) -> None:
        """See `Engine`. Raises `ArtifactError` where DeepSpeed finds nothing of this rank's in the folder."""
        loaded, _ = self._engine.load_checkpoint(str(folder), tag=_TAG)
        if loaded is None:
            raise ArtifactError(
                f"The checkpoint in {folder} holds no weights for rank {self.rank} of {self.world}",
                f"Delete {folder.parent} and start again, from the beginning",
            )


def _shape(parameter: nn.Parameter) -> torch.Size:
    """The whole shape of a parameter, which ZeRO-3 keeps aside."""
    shape: torch.Size = getattr(parameter, "ds_shape", parameter.shape)
    return shape
