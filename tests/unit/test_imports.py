"""What commands and actors import before they do anything: those that open no network do not wait for its libraries."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

SLOW = ("transformers", "peft", "deepspeed", "torch._dynamo", "vector_quantize_pytorch", "scipy.optimize")


@pytest.mark.parametrize("module", ["pipelines.run", "pipelines.nightly", "pipelines.precache", "serve.live"])
def test_the_libraries_of_a_network_wait_until_one_is_opened(module: str) -> None:
    program = f"import sys, {module}; print([name for name in {SLOW} if name in sys.modules])"
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, timeout=200, check=True
    )
    assert told.stdout.strip() == "[]"
