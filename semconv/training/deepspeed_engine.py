"""DeepSpeed as an `Engine`: bf16 or float32, ZeRO stage 0 to 3, GPUs with NCCL or CPUs with gloo.

DeepSpeed is imported only when an engine is made. Its checkpoints are pickles and stay private to their run.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from semconv.errors import ArtifactError
from semconv.training.optim import parameter_groups
from semconv.training.plain import put_weights

_TAG = "state"


def deepspeed_config(*, batch_size: int, zero_stage: int, precision: str, clip: float) -> dict[str, Any]:
    """DeepSpeed's own settings; ``batch_size`` is per rank and only bookkeeping, batches come packed.

    In bf16, stage 0 runs as stage 1: DeepSpeed 0.19 keeps float32 originals of bf16 weights from stage 1 on only.
    """
    zero: dict[str, Any] = {"stage": max(zero_stage, 1) if precision == "bf16" else zero_stage}
    if zero_stage == 3:
        zero |= {"stage3_param_persistence_threshold": 10_000}
    return {
        "train_micro_batch_size_per_gpu": batch_size,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": clip,
        "zero_optimization": zero,
        "bf16": {"enabled": precision == "bf16"},
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
        precision: str,
        weight_decay: float = 0.0,
        clip: float = 1.0,
    ) -> None:
        """``build`` makes the model, the same on every rank; it is called again where whole weights need a home."""
        cuda = torch.cuda.is_available()
        if not cuda:
            os.environ.setdefault("DS_ACCELERATOR", "cpu")
        import deepspeed

        logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
        deepspeed.init_distributed(dist_backend="nccl" if cuda else "gloo", auto_mpi_discovery=False, verbose=False)
        self._deepspeed = deepspeed
        self._build = build
        self._zero_stage = zero_stage
        model = build().train()
        optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay), betas=(0.9, 0.98), fused=zero_stage < 3)
        self._engine, self._optimizer, _, _ = deepspeed.initialize(
            model=model,
            optimizer=optimizer,
            config=deepspeed_config(batch_size=batch_size, zero_stage=zero_stage, precision=precision, clip=clip),
            dist_init_required=False,
        )
        self._twin: nn.Module | None = None
        self.rank: int = torch.distributed.get_rank()
        self.world: int = torch.distributed.get_world_size()

    def step(self, batch: Any, learning_rate: float) -> torch.Tensor:
        """See `Engine`."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        loss: torch.Tensor = self._engine(batch.to(self._engine.device))
        self._engine.backward(loss)
        self._engine.step()
        return loss.detach()

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
