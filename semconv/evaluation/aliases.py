"""Names that a system of a report goes by besides its own."""

from __future__ import annotations

from collections.abc import Iterable

GENERATIVE = "generative"


def aliases(systems: Iterable[str]) -> dict[str, str]:
    """The system behind each further name: `GENERATIVE` is the run's one aligned model, however it spells items."""
    spelt = [system for system in systems if system.startswith(f"{GENERATIVE}_")]
    return {GENERATIVE: spelt[0]} if len(spelt) == 1 else {}
