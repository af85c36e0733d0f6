"""The one error a person is meant to read: what is wrong, then what to do about it."""

from __future__ import annotations


class SemconvError(Exception):
    """An error whose message names the cause and ends in a remedy.

    ``problem`` says what is wrong, naming the file, setting or artifact; ``remedy`` says what to do next.
    Command-line entry points print it as one message and exit with status 2; libraries may catch it.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem.rstrip('.')}. {self.remedy.rstrip('.')}."


class InputError(SemconvError):
    """Input that cannot be read as what it claims to be: a missing, malformed or empty file, a wrong column."""


class SettingError(SemconvError):
    """A setting that does not exist, does not parse, or contradicts another."""


class ArtifactError(SemconvError):
    """An artifact that is absent, unfinished, damaged, of another kind, or of another lineage."""


class ResourceError(SemconvError):
    """The machine or cluster lacks something the work needs: disk, memory, workers, a port."""
