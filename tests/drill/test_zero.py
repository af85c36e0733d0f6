"""align on two workers under the ZeRO stages that the cluster tests leave out, up to a model that recommends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pipelines.align
from pipelines.stage import run_stages
from semconv.artifacts import Recommender, Run
from semconv.config import RaySettings, RunSettings, Settings
from semconv.llm.compact import CompactModel
from semconv.llm.search import beam_search
from semconv.llm.trie import Trie
from tests.unit.training.tiny_inputs import CODES, tiny_align, write_inputs


@pytest.mark.parametrize("stage", [0, 3])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_two_workers_make_a_model_that_loads_and_recommends(tmp_path: Path, stage: int, precision: str) -> None:
    inputs = write_inputs(tmp_path / "r")
    align = tiny_align(engine="deepspeed", precision=precision, zero_stage=stage, workers=2, epochs=14)
    settings = Settings(
        run=RunSettings(root=str(tmp_path), name="r"), ray=RaySettings(num_cpus=4, threads=1), align=align
    )
    run_stages(settings, pipelines.align.STAGES)
    folder = Recommender.open(Run(str(tmp_path), "r").artifact("model")).path
    model = CompactModel.load(folder, inputs.tokens.codes, inputs.vectors)
    trie = Trie.build(inputs.tokens.codes, CODES)
    found = beam_search(model, trie, [np.asarray([5, 6, 7], np.int32)], k=10, beams=20)
    assert 8 in found.items[0]
