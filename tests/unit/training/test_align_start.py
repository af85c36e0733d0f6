"""A training may begin where another one ended, in the same spelling and shape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from semconv.artifacts import Recommender, finish
from semconv.errors import ArtifactError
from semconv.training.align import Inputs, alignment
from semconv.training.job import make_engine, run_job
from tests.unit.training.tiny_inputs import tiny_align, write_inputs

SETTINGS = {"epochs": 1, "validate_every": 1, "probe_questions": 0}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_inputs(tmp_path_factory.mktemp("shop"))


def trained(inputs: Inputs, folder: Path, spelling: str) -> tuple[dict[str, torch.Tensor], Recommender]:
    """The weights after an epoch, and the model that was exported."""
    job = alignment(inputs, tiny_align(spelling=spelling, **SETTINGS), seed=5)
    found = run_job(job, make_engine(job))
    folder.mkdir()
    job.export(found, folder)
    finish(folder, "model", settings={}, inputs={}, counts={}, request="tiny", seconds=0)
    return found.weights, Recommender.open(folder)


@pytest.mark.parametrize("spelling", ["compact", "tokens"])
def test_it_begins_with_the_weights_that_the_other_ended_with(inputs: Inputs, tmp_path: Path, spelling: str) -> None:
    weights, model = trained(inputs, tmp_path / "first", spelling)
    job = alignment(replace(inputs, start=model), tiny_align(spelling=spelling, **SETTINGS), seed=6)
    begun = make_engine(job).weights()
    assert begun.keys() == weights.keys()
    assert all(torch.equal(begun[name], weights[name]) for name in weights)
    _, second = trained(replace(inputs, start=model), tmp_path / "second", spelling)
    assert second.fingerprint != model.fingerprint


def test_a_start_of_another_spelling_or_shape_is_refused(inputs: Inputs, tmp_path: Path) -> None:
    _, model = trained(inputs, tmp_path / "first", "compact")
    start = replace(inputs, start=model)
    with pytest.raises(ArtifactError, match="spelt in compact"):
        alignment(start, tiny_align(spelling="tokens", **SETTINGS), seed=5)
    with pytest.raises(ArtifactError, match="shape"):
        alignment(start, tiny_align(spelling="compact", max_history=5, **SETTINGS), seed=5).build()
