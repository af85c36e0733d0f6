"""Builds, once per environment, the compiled pieces that DeepSpeed would otherwise build at its first use.

python -m pipelines.prepare

A build that was killed leaves a lock file behind that every later build waits for, for ever; it is removed first.
Do not run it while another process of this environment is building.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pipelines.cluster import environment
from semconv.command import status_of
from semconv.config import RaySettings

LOCK = "lock"


def prepare() -> Path:
    """Clear stale locks and build; the folder that holds what was built."""
    os.environ.update(environment(RaySettings()))
    folder = Path(os.environ["TORCH_EXTENSIONS_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    for lock in folder.rglob(LOCK):
        lock.unlink()
    import torch

    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
        from deepspeed.ops.op_builder.cpu import ShareMemCommBuilder

        ShareMemCommBuilder().load(verbose=False)
    return folder


if __name__ == "__main__":
    told = "DeepSpeed's compiled pieces are in"
    raise SystemExit(status_of(lambda: print(told, prepare(), file=sys.stderr), "pipelines.prepare"))
