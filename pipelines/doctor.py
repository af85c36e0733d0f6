"""Doctor: whether this machine is ready for a run, and what to do where it is not. Changes nothing.

python -m pipelines.doctor --config configs/beauty.yaml [--SECTION.NAME VALUE ...]

Exits 0 when everything is fine, 1 when something is to be fixed. It looks at the machine it runs on: on a cluster,
submit it as a job (`ray job submit -- python -m pipelines.doctor ...`) to ask the head.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pipelines import doctor_versions
from semconv.errors import SemconvError

if TYPE_CHECKING:
    from semconv.config import Settings

Check = Callable[[], str]
"""Says in a few words what is fine; raises a `SemconvError` that says what is not, and what to do."""


class Finding(NamedTuple):
    """What came of one check; ``remedy`` is empty where there is nothing to do."""

    name: str
    says: str
    remedy: str = ""


def look(checks: Iterable[tuple[str, Check]]) -> list[Finding]:
    """Make every check, in order, whatever the ones before it found."""
    found = []
    for name, check in checks:
        try:
            found.append(Finding(name, check()))
        except SemconvError as error:
            found.append(Finding(name, error.problem, error.remedy))
    return found


def checks_of(settings: Settings) -> list[tuple[str, Check]]:
    """What is looked at before a run with these settings."""
    from pipelines import doctor_access, doctor_machine, doctor_network, doctor_storage

    named: tuple[tuple[str, Callable[[Settings], str]], ...] = (
        ("cores", doctor_machine.cores),
        ("memory", doctor_machine.memory),
        ("shared memory", doctor_machine.shared_memory),
        ("GPU", doctor_machine.gpu),
        ("compiler", doctor_machine.compiler),
        ("corpus", doctor_storage.corpus),
        ("run.root", doctor_storage.root),
        ("disk", doctor_storage.disk),
        ("stores", doctor_storage.stores),
        ("Ray's token", doctor_access.token),
        ("API keys", doctor_access.keys),
        ("cluster", doctor_network.cluster),
        ("ports", doctor_network.ports),
    )
    return [(name, partial(check, settings)) for name, check in named]


def text(found: Iterable[Finding]) -> str:
    """The findings for a person, and a last line that sums them up."""
    found = list(found)
    width = max(len(finding.name) for finding in found)
    lines = [f"{'FIX' if one.remedy else 'ok ':<4}{one.name:<{width}}  {one.says}" for one in found]
    for number, one in reversed(list(enumerate(found, start=1))):
        if one.remedy:
            lines.insert(number, f"{'':<{width + 6}}-> {one.remedy}")
    bad = sum(bool(one.remedy) for one in found)
    lines.append(f"{bad} of {len(found)} to be fixed." if bad else "Everything is ready.")
    return "\n".join(lines)


def run(settings: Settings) -> None:
    """Print what is fine and what to fix; exits 1 where there is something to fix."""
    found = look([*doctor_versions.CHECKS, *checks_of(settings)])
    print(text(found))
    if any(finding.remedy for finding in found):
        raise SystemExit(1)


def main() -> None:
    """Settings and all other checks need the libraries, so the libraries come first and alone."""
    versions = look(doctor_versions.CHECKS)
    if doctor_versions.missing():
        print(text(versions))
        raise SystemExit(1)
    from semconv import cli

    cli.main(run, "pipelines.doctor", sys.argv[1:])


if __name__ == "__main__":
    main()
