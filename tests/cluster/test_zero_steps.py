"""Two ranks under every ZeRO stage, in parts, offloaded or not, compute the steps of one plain process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from semconv.training.plain import PlainEngine
from tests.cluster.zero_steps import KINDS, WAYS, build, few_steps
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    out = tmp_path_factory.mktemp("zero") / "found.safetensors"
    subprocess.run(_command(out), cwd=REPOSITORY, check=True, capture_output=True, timeout=300)
    tensors: dict[str, torch.Tensor] = load_file(out)
    return tensors


def _command(out: Path) -> list[str]:
    spread = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "tests.cluster.zero_steps"]
    return [sys.executable, *spread, str(out)]


@pytest.mark.parametrize("kind", KINDS)
def test_zero_changes_where_things_lie_and_nothing_else(found: dict[str, torch.Tensor], kind: str) -> None:
    one = few_steps(PlainEngine(build(kind)(), weight_decay=0.1), kind, parts=1)
    for way in WAYS:
        prefix = f"{kind}|{way}|"
        spread = {name.removeprefix(prefix): tensor for name, tensor in found.items() if name.startswith(prefix)}
        assert spread.keys() == one.keys(), way
        for name, tensor in one.items():
            assert torch.allclose(spread[name], tensor, rtol=1e-4, atol=1e-4), (way, name)
