"""Probes: they measure what a model knows, in either spelling, and say what they asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from semconv.alignment.builder import Builder
from semconv.alignment.preference import liked
from semconv.alignment.registry import TASKS
from semconv.alignment.spelling import TokenSpelling
from semconv.alignment.task import HISTORY, Parts, one
from semconv.alignment.templates import TEMPLATES
from semconv.artifacts.ragged import Int32
from semconv.config import AlignSettings
from semconv.llm.load import load_tokenizer
from semconv.llm.trie import Trie
from semconv.llm.vocabulary import code_ids, name_codes
from semconv.training.align import Inputs, alignment
from semconv.training.answers import TokenAnswers
from semconv.training.job import make_engine, run_job
from semconv.training.probes import Prober, probe_table, says
from tests.unit.alignment.full_shop import align, builder_of, write_full_shop
from tests.unit.training.tiny_inputs import BASE, CODES, ITEM_COUNT


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_full_shop(tmp_path_factory.mktemp("shop"))


class Knowing(TokenAnswers):
    """Answers right wherever it is told to, and otherwise the same thing always: a model whose score is known."""

    def __init__(self, builder: Builder, tokenizer: Any, following: dict[tuple[int, ...], int], right: bool) -> None:
        assert isinstance(builder.spelling, TokenSpelling)
        self.spelling, self._tokenizer = builder.spelling, tokenizer
        self._following, self._right, self._shop = following, right, builder.shop

    def find(self, task: Any, asked: Any) -> Int32:
        found = np.full((len(asked), 10), 0 if self._right else ITEM_COUNT - 1, np.int32)
        if self._right:
            found[:, 3] = [int(parts["item"][0]) for parts in asked]
        return found

    def likelihoods(self, task: Any, asked: Any) -> Any:
        scores = []
        for parts, answer in asked:
            item = self._following[tuple(parts[HISTORY].tolist())]
            if task.name == "choice":
                good = int(answer[0]) == item
            else:
                good = self.text(answer.tolist()) == ("yes" if int(parts["candidate"][0]) == item else "no")
            scores.append(-1.0 if good == self._right else -2.0)
        return np.asarray(scores)

    def say(self, task: Any, asked: Any, most: int) -> list[list[int]]:
        if not self._right:
            return [[0] for _ in asked]
        if task.name == "item_to_title":
            titles = [self._shop.facts.ids(int(parts["item"][0]), "title") for parts in asked]
            return [[*self.spelling.ending(task, title).tolist(), 5, 5][:most] for title in titles]

        facts = self._shop.facts
        return [facts.spell_names(liked(facts, parts[HISTORY])).tolist() for parts in asked]


@pytest.mark.parametrize("right", [True, False])
def test_one_that_knows_everything_is_told_from_one_that_knows_nothing(inputs: Inputs, right: bool) -> None:
    builder = builder_of(inputs, align("tokens"))
    split = inputs.corpus.split("valid")
    histories = [tuple(history[-12:].tolist()) for history in split.histories]
    following = dict(zip(histories, split.targets.tolist(), strict=True))
    # Walks on a ring: the same history is always followed by the same item.
    assert all(following[history] == target for history, target in zip(histories, split.targets.tolist(), strict=True))
    answers = Knowing(builder, load_tokenizer(inputs.base.path), following, right)
    probes = Prober(inputs.corpus, builder.shop, answers, 300).probes()
    assert {probe.family for probe in probes} == {"textual", "query", "negative", "preference"}
    assert {probe.on for probe in probes if probe.task == "choice"} == {
        f"{kind} negatives" for kind in ("uniform", "semantic", "behavioural")
    }
    assert {probe.on for probe in probes if probe.task == "item_to_title"} == {"held-out items", "other items"}
    for probe in probes:
        assert probe.questions > 0
        if probe.measure.startswith("recall") and not right:
            assert probe.value <= 0.1
        else:
            assert probe.value == float(right), probe


def exported(inputs: Inputs, folder: Path, settings: AlignSettings) -> dict[tuple[str, str], dict[str, Any]]:
    """Probes that came with a trained model, by task and what it was asked on."""
    folder.mkdir()
    job = alignment(inputs, settings, seed=5)
    job.export(run_job(job, make_engine(job)), folder)
    probes = json.loads((folder / "probes.json").read_text())
    table = probe_table(folder)
    assert table[0].split() == ["family", "task", "on", "measure", "value", "of"]
    assert [line.split()[1] for line in table[1:]] == [probe["task"] for probe in probes]
    return {(probe["task"], probe["on"]): probe for probe in probes}


def test_probes_show_what_a_model_was_taught(inputs: Inputs, tmp_path: Path) -> None:
    course = {"epochs": 4, "validate_every": 4, "learning_rate": 5e-3}
    taught, untaught = (
        exported(inputs, tmp_path / name, align("compact", tasks={"textual": weight}, **course))
        for name, weight in (("taught", 4.0), ("untaught", 0.0))
    )
    asked = "title_to_item", "other items"
    assert taught[asked]["value"] > untaught[asked]["value"] + 0.3
    assert {probe["family"] for probe in taught.values()} == {"textual", "query"}
    assert probe_table(tmp_path) == []


def test_nothing_is_asked_where_no_questions_are_wanted(inputs: Inputs, tmp_path: Path) -> None:
    job = alignment(inputs, align("compact", epochs=1, validate_every=1, probe_questions=0), seed=5)
    job.export(run_job(job, make_engine(job)), tmp_path)
    assert (tmp_path / "curves.json").exists()
    assert not (tmp_path / "probes.json").exists()


def test_a_model_of_the_token_spelling_is_asked_everything(inputs: Inputs, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(TEMPLATES.read_text().replace("Items so far, oldest first: ", "So far: "))
    tasks = {"textual": 0.0, "templates": str(own)}
    probes = exported(inputs, tmp_path / "m", align("tokens", epochs=1, validate_every=1, tasks=tasks))
    assert {probe["family"] for probe in probes.values()} == {"textual", "query", "negative", "preference"}
    assert all(0 <= probe["value"] <= 1 for probe in probes.values())
    # Whoever opens the model asks in the words that it was trained on.
    assert json.loads((tmp_path / "m" / "semconv.json").read_text())["opening"] == "So far: "


def untrained(inputs: Inputs, settings: AlignSettings) -> tuple[Any, Builder, TokenAnswers]:
    """A model of the token spelling as training finds it, and how to ask it."""
    model = alignment(inputs, settings, seed=5).build().model.eval()
    builder = builder_of(inputs, settings)
    assert isinstance(builder.spelling, TokenSpelling)
    tokenizer = load_tokenizer(inputs.base.path)
    name_codes(tokenizer, 3, CODES)
    ids_LC = torch.from_numpy(code_ids(tokenizer, 3, CODES))
    trie = Trie.build(inputs.tokens.codes, CODES)
    return model, builder, TokenAnswers(model, tokenizer, ids_LC, builder.spelling, trie)


def test_questions_leave_room_for_their_answers(tmp_path: Path) -> None:
    """Histories fill the context, and the model has no position beyond it."""
    inputs = write_full_shop(tmp_path, [[(begin + place) % ITEM_COUNT for place in range(34)] for begin in range(8)])
    words = len(load_tokenizer(inputs.base.path))
    small = GPT2Config(
        vocab_size=words, n_positions=BASE.context, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(small).save_pretrained(inputs.base.path)
    _, builder, answers = untrained(inputs, align("tokens", max_history=30))
    probes = Prober(inputs.corpus, builder.shop, answers, 300).probes()
    assert {probe.family for probe in probes} == {"textual", "query", "negative", "preference"}


def test_likelihoods_and_words_are_those_of_the_model_alone(inputs: Inputs) -> None:
    """Batches are padded; one question at a time they say the same."""
    model, builder, answers = untrained(inputs, align("tokens"))
    spelling = answers.spelling
    task = TASKS["choice"]
    asked: list[tuple[Parts, Int32]] = [
        ({HISTORY: np.arange(many, dtype=np.int32), "candidates": np.asarray([9, 8], np.int32)}, one(9))
        for many in (1, 7, 3)
    ]
    together = answers.likelihoods(task, asked)
    for number, (parts, answer) in enumerate(asked):
        ids = [*spelling.question(task, parts).tolist(), *spelling.ending(task, answer).tolist()]
        with torch.no_grad():
            scores = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        alone = sum(float(scores[place - 1, ids[place]]) for place in range(len(ids) - 3, len(ids)))
        assert together[number] == pytest.approx(alone, abs=1e-4)
    likes = TASKS["history_to_likes"]
    questions: list[Parts] = [{HISTORY: parts[HISTORY]} for parts, _ in asked]
    said = answers.say(likes, questions, 6)
    assert said == [answers.say(likes, [question], 6)[0] for question in questions]
    found = answers.find(
        TASKS["phrase_to_item"], [{"phrase": builder.shop.facts.spell(word)} for word in ("red", "oil")]
    )
    assert all(len(set(row)) == 10 for row in found.tolist())


def test_a_name_counts_where_it_is_said_whole() -> None:
    assert says("shelf 10, Soap", "Shelf 10")
    assert says("shelf 10, Soap ", "soap")
    assert says("Tools, Home, Soap", "Tools, Home")
    assert not says("shelf 10, Soap", "shelf 1")
