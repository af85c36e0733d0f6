"""Why: what a user is recommended, and for each item the evidence that moved it.

python -m pipelines.why --config configs/beauty.yaml --user USER_ID --k 5
python -m pipelines.why --config configs/beauty.yaml --user USER_ID --wish "something for curly hair"

Without a wish the list is the one that precache stores. Contributions are differences of log-probability, see
`semconv.recommend.reasons`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from semconv.artifacts import Corpus, ItemTokens, Run
from semconv.cli import load_settings
from semconv.command import CommandParser, status_of
from semconv.config import Settings
from semconv.errors import InputError, SettingError
from semconv.recommend.load import open_recommender, open_steered
from semconv.recommend.ranker import Ranker
from semconv.recommend.reasons import LAST, Reason, reasons

SHOWN = 3
"""Sources, and items of the history, that are printed for an item."""


@dataclass(frozen=True)
class Question:
    """The user, how many items of the list and of the history to look at, a wish or "", and whether to give JSON."""

    user: str
    k: int
    last: int
    wish: str
    json: bool


@dataclass(frozen=True)
class Answer:
    """A user's history and the reasons of the best items, by index; which system ranked, and how many codes it has."""

    user: str
    system: str
    levels: int
    history: list[int]
    reasons: list[Reason]


def answer(question: Question, settings: Settings, corpus: Corpus, run: Run) -> Answer:
    """The head of the user's list, with reasons.

    Raises `InputError` for a user whom the corpus does not know, `SettingError` where more is asked for than is stored.
    """
    chosen = settings.precache
    if not 1 <= question.k <= chosen.k:
        raise SettingError(
            f"--k {question.k} is outside the list of {chosen.k} items", "Raise precache.k, or ask for fewer"
        )
    if question.last < 1:
        raise SettingError(f"--last {question.last} leaves no history to look at", "Ask for at least 1 item")
    if question.user not in corpus.user_ids:
        raise InputError(
            f"{corpus.path} has no user '{question.user}'",
            f"Give an id as the interactions spell it, such as '{corpus.user_ids[0]}'",
        )
    history = corpus.sequences[corpus.user_ids.index(question.user)]
    barred = [history] if chosen.filter_seen else None
    ranker: Ranker
    if question.wish:
        ranker = steered = open_steered(run, settings.recommend)
        ranking = steered.rank([history], chosen.k, exclude=barred, wishes=[question.wish])
    else:
        ranker = open_recommender(run, settings.recommend)
        ranking = ranker.rank([history], chosen.k, exclude=barred)
    codes_NL = ItemTokens.open(run.artifact(ItemTokens.kind)).codes
    best = ranking.items[0, : question.k]
    exclude = history if chosen.filter_seen else None
    found = reasons(ranker, codes_NL, history, best, chosen.k, exclude=exclude, wish=question.wish, last=question.last)
    return Answer(question.user, ranker.name, codes_NL.shape[1], history.tolist(), found)


def as_json(found: Answer, corpus: Corpus) -> dict[str, Any]:
    """The answer with ids and titles for indices, as plain JSON values."""

    def named(told: dict[str, Any]) -> dict[str, Any]:
        item = told.pop("item")
        return {"item_id": corpus.item_ids[item], "title": corpus.items["title"][item].as_py(), **told}

    items = []
    for reason in map(asdict, found.reasons):
        reason["history"] = [named(one) for one in reason["history"]]
        reason["prefix"] = named(reason["prefix"]) if reason["prefix"] else None
        items.append(named(reason))
    history = [named({"item": item}) for item in found.history]
    return {"user_id": found.user, "system": found.system, "levels": found.levels, "history": history, "items": items}


def text(told: dict[str, Any]) -> str:
    """What `as_json` gave, for a terminal: what spoke for each item, the strongest first."""
    lines = [
        f"user {told['user_id']}, {len(told['history'])} items in the history, ranked by {told['system']}",
        "+0.69: twice as likely with this evidence as without it",
    ]
    for place, item in enumerate(told["items"], start=1):
        lines += ["", f"{place:2}  {_title(item)}  (score {item['score']:.3f})"]
        lines += _column("sources", [(one["contribution"], one["source"]) for one in item["sources"]])
        lines += _column("history", [(one["contribution"], _title(one)) for one in item["history"]])
        if wish := item["wish"]:
            lines.append(f"    wish     {', '.join(f'{name} {known:.2f}' for name, known in wish.items())}")
        if shared := item["prefix"]:
            codes = " ".join(map(str, shared["codes"]))
            lines.append(f"    codes    {len(shared['codes'])} of {told['levels']} ({codes}) as in {_title(shared)}")
    return "\n".join(lines)


def _column(heading: str, contributions: Sequence[tuple[float, str]]) -> list[str]:
    """A line for each of the strongest that spoke for the item; one that says so where none did, if there are any."""
    told = [f"{contribution:+6.2f}  {name}" for contribution, name in contributions[:SHOWN] if contribution >= 0.005]
    if contributions and not told:
        told = [" none speaks for it"]
    return [f"    {heading if not place else '':<7}  {line}" for place, line in enumerate(told)]


def _title(named: dict[str, Any]) -> str:
    return str(named["title"] or named["item_id"])


def run(settings: Settings, question: Question) -> None:
    """Answer and print."""
    place = Run.of(settings.run)
    corpus = Corpus.open(place.artifact(Corpus.kind))
    told = as_json(answer(question, settings, corpus, place), corpus)
    print(json.dumps(told, indent=2, ensure_ascii=False) if question.json else text(told))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The command."""
    raise SystemExit(status_of(lambda: ask(sys.argv[1:] if arguments is None else arguments), "pipelines.why"))


def ask(arguments: Sequence[str]) -> None:
    """Print why. What this command does not know itself are settings. Raises `SemconvError`."""
    parser = CommandParser(
        prog="python -m pipelines.why",
        description=__doc__.split("\n")[0],
        epilog="All else are settings of the run: --config FILE and --SECTION.NAME VALUE, as pipelines.run has them.",
        allow_abbrev=False,
    )
    parser.add_argument("--user", required=True, metavar="USER_ID", help="whose list, by id")
    parser.add_argument("--k", type=int, default=5, help="items of the list, from the best on (default %(default)s)")
    parser.add_argument(
        "--last",
        type=int,
        default=LAST,
        metavar="ITEMS",
        help="items of the history looked at, from the last on (default %(default)s)",
    )
    parser.add_argument("--wish", default="", metavar="WORDS", help="what the user would like, in a few words")
    parser.add_argument("--json", action="store_true", help="print JSON, all evidence in it")
    given, rest = parser.parse_known_args(arguments)
    run(load_settings(rest, "pipelines.why"), Question(**vars(given)))


if __name__ == "__main__":
    main()
