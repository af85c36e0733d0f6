"""Two stages that take no time: one grows grain, the other grinds it."""

from __future__ import annotations

from pipelines.stage import Stage, Work
from semconv.artifacts import Artifact


class Grain(Artifact):
    kind = "grain"


class Flour(Artifact):
    kind = "flour"


def grow(work: Work) -> None:
    (work.out("grain") / "content").write_text(f"{work.settings.tokenize.levels}")


def mill(work: Work) -> None:
    (work.out("flour") / "content").write_text((work.input(Grain).path / "content").read_text() + " ground")


GROW = Stage("grow", ("grain",), (), ("tokenize",), 1, grow)
MILL = Stage("mill", ("flour",), (Grain,), (), 1, mill)
