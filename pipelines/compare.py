"""Compare: any number of reports side by side on the same users, and which differences between them are real.

python -m pipelines.compare runs/beauty/report runs/other/report --system converged --system sasrec
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from semconv.command import CommandParser, status_of
from semconv.evaluation.compare import compare, open_reports, text
from semconv.evaluation.rankings import FILTERS


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Print the comparison and exit 0; exit 2 with one message where the reports cannot be compared."""
    raise SystemExit(status_of(lambda: print(compared(arguments)), "pipelines.compare"))


def compared(arguments: Sequence[str] | None) -> str:
    """What the command line asks to be compared. Raises `SemconvError`."""
    parser = CommandParser(prog="python -m pipelines.compare", description=__doc__.split("\n")[0])
    parser.add_argument("reports", nargs="+", type=Path, metavar="REPORT_DIR", help="a report, or a run that holds one")
    parser.add_argument(
        "--system",
        action="append",
        nargs="+",
        default=[],
        metavar="NAME",
        help="compare these systems, each with each and across reports; without it every system is shown, and compared "
        "with itself in the other reports, or in a single report with every other",
    )
    parser.add_argument("--kind", choices=FILTERS, default="filtered", help="whether seen items were removed")
    given = parser.parse_args(arguments)
    systems = list(dict.fromkeys(name for names in given.system for name in names))
    return "\n".join(text(compare(open_reports(given.reports), systems, given.kind)))


if __name__ == "__main__":
    main()
