"""The behaviour encoders by name: how each is fitted, and how it comes back from what was stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from semconv.artifacts import Ragged, Split
from semconv.behaviour.dccf import Dccf, fit_dccf
from semconv.behaviour.lightgcn import Lightgcn, fit_lightgcn
from semconv.behaviour.protocol import Encoder
from semconv.behaviour.sasrec import Sasrec
from semconv.behaviour.sasrec_training import fit_sasrec
from semconv.behaviour.training import Epoch
from semconv.config import DccfSettings, EncoderSettings, LightgcnSettings, SasrecSettings
from semconv.progress import Report


class Fit(Protocol):
    """Trains on ``training`` alone; ``valid`` decides which epoch is kept. Returns the encoder and its curve."""

    def __call__(
        self,
        training: Ragged,
        n_items: int,
        valid: Split,
        settings: Any,
        *,
        seed: int,
        report: Report = ...,
        device: str = ...,
    ) -> tuple[Encoder, list[Epoch]]:
        """See the class."""
        ...


@dataclass(frozen=True)
class Kind:
    """An encoder's settings, how it is fitted, and an empty one for N items that takes over stored weights."""

    settings: type[EncoderSettings]
    fit: Fit
    empty: Callable[[int, Any], Encoder]


ENCODERS: Mapping[str, Kind] = {
    Sasrec.name: Kind(SasrecSettings, fit_sasrec, Sasrec),
    Lightgcn.name: Kind(LightgcnSettings, fit_lightgcn, Lightgcn),
    Dccf.name: Kind(DccfSettings, fit_dccf, Dccf),
}


@dataclass(frozen=True)
class Fitted:
    """An encoder, the settings it was made with, and its training curve (empty where it was not trained)."""

    model: Encoder
    settings: EncoderSettings
    curve: list[Epoch]
