"""What an aligned model has learned besides ranking: a held-out probe for every family that its spelling can answer.

negative     accuracy, yes or no and one of four, by the kind of the negatives; half and a quarter by chance
textual      title said exactly for an item, and item found by its title (Recall@10): items held out, and others
query        item found by a search phrase (Recall@10), alone and after a history
preference   share of the categories and brands of a history that the model names, of those it was taught to name

Histories are those of validation users and their answers the items that validate, which no example has seen; the
test split is not opened. Items held out are left out of every textual and query task.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from semconv.alignment.negative import NO, YES
from semconv.alignment.preference import liked
from semconv.alignment.registry import TASKS
from semconv.alignment.shop import PHRASE, Shop
from semconv.alignment.spelling import TokenSpelling
from semconv.alignment.task import HISTORY, Parts, Task, one
from semconv.artifacts import Corpus
from semconv.artifacts.ragged import Int32, Int64
from semconv.errors import SettingError
from semconv.training.answers import AT, CompactAnswers, TokenAnswers

PROBES = "probes.json"
NEGATIVES = ("uniform", "semantic", "behavioural")
CHOICES = 4
HELD_OUT, SEEN = "held-out items", "other items"


@dataclass(frozen=True)
class Probe:
    """One figure: what was asked, on what, the mean over how many questions."""

    family: str
    task: str
    on: str
    measure: str
    value: float
    questions: int


class Prober:
    """Asks the questions of every family; the same ones at every call."""

    def __init__(self, corpus: Corpus, shop: Shop, answers: TokenAnswers | CompactAnswers, questions: int) -> None:
        """``questions``: users or items that a probe asks about, at most."""
        self._shop, self._answers, self._questions = shop, answers, questions
        split = corpus.split("valid")
        users = np.sort(np.random.default_rng((shop.seed, 1)).permutation(len(split.users))[:questions])
        self._asked = [(split.histories[int(user)], int(split.targets[user])) for user in users]

    def probes(self) -> list[Probe]:
        """Every figure that the spelling can give."""
        found = [*self._found_by_title(), *self._found_by_phrase()]
        if isinstance(self._answers, TokenAnswers):
            found += [*self._negatives(self._answers), *self._titles(self._answers), *self._likes(self._answers)]
        return sorted(found, key=lambda probe: list(TASKS).index(probe.task))

    def _fits(self, name: str) -> bool:
        spelling, task = self._answers.spelling, TASKS[name]
        if isinstance(spelling, TokenSpelling):
            try:
                spelling.require_room(task, self._shop.facts.limits, CHOICES)
            except SettingError:
                return False
        return True

    def _items(self, name: str) -> Iterator[tuple[str, Int64]]:
        """Items that have this fact, held out and not, by what to call them."""
        known = self._shop.phrases.has() if name == PHRASE else self._shop.facts.has(name)
        held_out = self._shop.held_out
        for on, items in ((HELD_OUT, held_out[known[held_out]]), (SEEN, self._shop.items(name))):
            if len(items):
                yield on, np.sort(np.random.default_rng((self._shop.seed, 2)).permutation(items)[: self._questions])

    def _found_by_title(self) -> Iterator[Probe]:
        for on, items in self._items("title") if self._fits("title_to_item") else ():
            asked: list[Parts] = [
                {"title": self._shop.facts.ids(int(item), "title"), "item": one(item)} for item in items
            ]
            yield self._recall("title_to_item", on, asked, items)

    def _found_by_phrase(self) -> Iterator[Probe]:
        for on, items in self._items(PHRASE) if self._fits("phrase_to_item") else ():
            asked: list[Parts] = [{PHRASE: self._phrase(int(item)), "item": one(item)} for item in items]
            yield self._recall("phrase_to_item", on, asked, items)
        known = self._shop.phrases.has()
        pairs = [(history, item) for history, item in self._asked if known[item]]
        if pairs and self._fits("phrase_and_history_to_item"):
            said: list[Parts] = [
                {HISTORY: self._latest(history), PHRASE: self._phrase(item), "item": one(item)}
                for history, item in pairs
            ]
            targets = np.asarray([item for _, item in pairs], np.int64)
            yield self._recall("phrase_and_history_to_item", "validation users", said, targets)

    def _phrase(self, item: int) -> Int32:
        random = np.random.default_rng((self._shop.seed, 3, item))
        return self._shop.facts.spell(self._shop.phrases.phrase(item, random))

    def _latest(self, history: Int32) -> Int32:
        return history[-self._shop.max_history :]

    def _recall(self, name: str, on: str, asked: Sequence[Parts], wanted: Int64) -> Probe:
        hits = (self._answers.find(TASKS[name], asked) == wanted[:, None]).any(1)
        return _probe(TASKS[name], on, f"recall@{AT}", hits.tolist())

    def _negatives(self, answers: TokenAnswers) -> Iterator[Probe]:
        for kind in NEGATIVES if self._asked else ():
            random = np.random.default_rng((self._shop.seed, 4))
            drawn = [
                self._shop.negatives.draw(kind, item, history, CHOICES - 1, random) for history, item in self._asked
            ]
            if self._fits("yes_or_no"):
                yield _probe(TASKS["yes_or_no"], f"{kind} negatives", "accuracy", self._yes_or_no(answers, drawn))
            if self._fits("choice"):
                yield _probe(TASKS["choice"], f"{kind} negatives", "accuracy", self._choice(answers, drawn, random))

    def _yes_or_no(self, answers: TokenAnswers, drawn: Sequence[Int32]) -> list[bool]:
        """Of every user the item that came, then one that did not."""
        yes, no = (self._shop.facts.spell(word) for word in (YES, NO))
        asked: list[Parts] = [
            {HISTORY: self._latest(history), "candidate": one(candidate)}
            for (history, item), wrong in zip(self._asked, drawn, strict=True)
            for candidate in (item, *wrong[:1].tolist())
        ]
        truths = [truth for wrong in drawn for truth in (True, *([False] if len(wrong) else []))]
        task = TASKS["yes_or_no"]
        says_yes, says_no = (answers.likelihoods(task, [(parts, word) for parts in asked]) for word in (yes, no))
        return [bool(said) is truth for said, truth in zip(says_yes > says_no, truths, strict=True)]

    def _choice(self, answers: TokenAnswers, drawn: Sequence[Int32], random: np.random.Generator) -> list[bool]:
        offered = [
            random.permutation(np.asarray([item, *wrong], np.int32))
            for (_, item), wrong in zip(self._asked, drawn, strict=True)
        ]
        pairs: list[tuple[Parts, Int32]] = [
            ({HISTORY: self._latest(history), "candidates": candidates}, one(candidate))
            for (history, _), candidates in zip(self._asked, offered, strict=True)
            for candidate in candidates
        ]
        ends = np.cumsum([len(candidates) for candidates in offered])
        scores = np.split(answers.likelihoods(TASKS["choice"], pairs), ends[:-1])
        return [
            int(candidates[np.argmax(given)]) == item
            for (_, item), candidates, given in zip(self._asked, offered, scores, strict=True)
        ]

    def _titles(self, answers: TokenAnswers) -> Iterator[Probe]:
        task = TASKS["item_to_title"]
        for on, items in self._items("title") if self._fits(task.name) else ():
            wanted = [
                answers.spelling.ending(task, self._shop.facts.ids(int(item), "title")).tolist() for item in items
            ]
            asked: list[Parts] = [
                {"item": one(item), "title": self._shop.facts.ids(int(item), "title")} for item in items
            ]
            said = answers.say(task, asked, max(map(len, wanted)))
            exact = [ids[: len(title)] == title for ids, title in zip(said, wanted, strict=True)]
            yield _probe(task, on, "exact", exact)

    def _likes(self, answers: TokenAnswers) -> Iterator[Probe]:
        task = TASKS["history_to_likes"]
        histories = [self._latest(np.append(history, np.int32(item))) for history, item in self._asked]
        facts = self._shop.facts
        known = [(history, names) for history in histories if (names := facts.fitting(liked(facts, history)))]
        if not known or not self._fits(task.name):
            return
        asked: list[Parts] = [{HISTORY: history, "likes": facts.spell_names(names)} for history, names in known]
        said = answers.say(task, asked, facts.limits["title"])
        shares = [
            float(np.mean([says(text, name) for name in names]))
            for text, (_, names) in zip(map(answers.text, said), known, strict=True)
        ]
        yield _probe(task, "validation users", "share named", shares)


def says(text: str, name: str) -> bool:
    """Whether a list of names in words, joined by commas, has this one, whatever its case."""
    return f", {name}, ".casefold() in f", {text.strip()}, ".casefold()


def _probe(task: Task, on: str, measure: str, values: Sequence[float]) -> Probe:
    return Probe(task.family, task.name, on, measure, float(np.mean(values)), len(values))


def write_probes(folder: Path, probes: Sequence[Probe]) -> None:
    """Write ``probes.json``: a list of {family, task, on, measure, value, questions}."""
    (folder / PROBES).write_text(json.dumps([asdict(probe) for probe in probes], indent=1) + "\n")


def probe_table(folder: Path) -> list[str]:
    """The probes of a model as lines of a table, none where it has none."""
    file = folder / PROBES
    rows = [Probe(**row) for row in json.loads(file.read_text())] if file.exists() else []
    columns: list[tuple[str, Callable[[Probe], str]]] = [
        ("family", lambda probe: probe.family),
        ("task", lambda probe: probe.task),
        ("on", lambda probe: probe.on),
        ("measure", lambda probe: probe.measure),
        ("value", lambda probe: f"{probe.value:.3f}"),
        ("of", lambda probe: str(probe.questions)),
    ]
    cells = [[name for name, _ in columns], *([say(row) for _, say in columns] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells][
        : len(cells) if rows else 0
    ]
