"""Settings of training that contradict one another are refused before anything starts."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from semconv.config import AlignSettings, determining


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "lora"}, "set align.spelling to tokens"),
        ({"warm_rows": 5}, "set align.spelling to tokens, or leave it at 0"),
        ({"offload": "optimizer", "zero_stage": 0}, "align.offload optimizer needs align.zero_stage 1 at least"),
        ({"offload": "parameters", "zero_stage": 2}, "align.offload parameters needs align.zero_stage 3 at least"),
        ({"offload": "optimizer", "engine": "plain"}, "set align.engine to deepspeed"),
        ({"engine": "plain", "workers": 2}, "runs on one worker"),
    ],
)
def test_contradictions_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        AlignSettings(**given)  # type: ignore[arg-type]


def test_lora_decides_what_is_computed_only_where_it_is_the_method() -> None:
    other = {"lora": {"rank": 4}}
    full, changed = AlignSettings(spelling="tokens"), AlignSettings(spelling="tokens", **other)  # type: ignore[arg-type]
    assert determining(full) == determining(changed)
    lora = AlignSettings(spelling="tokens", method="lora")
    assert determining(lora) != determining(AlignSettings(spelling="tokens", method="lora", **other))  # type: ignore[arg-type]


def test_saving_memory_and_tracking_change_nothing_that_is_computed() -> None:
    saving = AlignSettings(accumulate=4, gradient_checkpointing=True, offload="optimizer", tracking="none", workers=2)
    assert determining(saving) == determining(AlignSettings())
