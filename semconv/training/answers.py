"""Asking an aligned model in words: which item, which of several, what it says.

B questions, T positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch.nn import functional as F

from semconv.alignment.spelling import CompactSpelling, TokenSpelling
from semconv.alignment.task import Parts, Task
from semconv.artifacts.ragged import Int32
from semconv.llm.causal import CausalBeamModel
from semconv.llm.compact import CompactModel
from semconv.llm.load import context_of
from semconv.llm.logits import LogitRule
from semconv.llm.memory import Memory
from semconv.llm.protocol import Extended
from semconv.llm.search import beam_search
from semconv.llm.trie import Trie

AT, BEAMS, BATCH = 10, 20, 32


class Finder(Protocol):
    """A model that answers a question with items."""

    def start(self, numbers: Sequence[int], *, normalised: bool) -> tuple[Any, torch.Tensor]:
        """Read the questions of these numbers; what `BeamModel.start` returns."""
        ...


class _Questions:
    """A `BeamModel` whose histories are the numbers of questions; reads them through a `Finder`."""

    def __init__(self, model: Any, finder: Finder) -> None:
        self.levels, self.codes, self.catalogue = model.levels, model.codes, model.catalogue
        self._model, self._finder = model, finder

    def start(self, histories: Sequence[Int32], beams: int, *, normalised: bool) -> tuple[Any, torch.Tensor]:  # noqa: ARG002  # `BeamModel`
        """See `BeamModel`."""
        return self._finder.start([int(history[0]) for history in histories], normalised=normalised)

    def step(self, state: Any, level: int, beams: Extended, *, normalised: bool) -> tuple[Any, torch.Tensor]:
        """See `BeamModel`."""
        stepped: tuple[Any, torch.Tensor] = self._model.step(state, level, beams, normalised=normalised)
        return stepped

    def finish(self, state: Any, items_T: torch.Tensor, rows_T: torch.Tensor) -> torch.Tensor | None:
        """See `BeamModel`."""
        gains_T: torch.Tensor | None = self._model.finish(state, items_T, rows_T)
        return gains_T

    def memory(self, history: int, beams: int) -> Memory:
        """See `BeamModel`."""
        memory: Memory = self._model.memory(history, beams)
        return memory


class _Texts:
    """A `Finder` of the token spelling."""

    def __init__(self, model: CausalBeamModel, texts: Sequence[Int32]) -> None:
        self._model, self._texts = model, texts

    def start(self, numbers: Sequence[int], *, normalised: bool) -> tuple[Any, torch.Tensor]:
        """See `Finder`."""
        return self._model.read([self._texts[number] for number in numbers], BEAMS, normalised=normalised)


class _Wishes:
    """A `Finder` of the compact spelling: words, then a history."""

    def __init__(self, model: CompactModel, words: Sequence[Int32], histories: Sequence[Int32]) -> None:
        self._model, self._words, self._histories = model, words, histories

    def start(self, numbers: Sequence[int], *, normalised: bool) -> tuple[Any, torch.Tensor]:
        """See `Finder`."""
        words = [self._words[number] for number in numbers]
        histories = [self._histories[number] for number in numbers]
        return self._model.start(histories, BEAMS, normalised=normalised, words=words)


class CompactAnswers:
    """What a compact model can be asked: which items."""

    def __init__(self, model: CompactModel, spelling: CompactSpelling, trie: Trie) -> None:
        """``model`` in evaluation mode, on the trie's device."""
        self._model, self.spelling, self._trie = model, spelling, trie

    def find(self, task: Task, asked: Sequence[Parts]) -> Int32:
        """The best `AT` items for each question, int32 (B, AT)."""
        rows = [self.spelling.example(task, parts, np.random.default_rng(0)) for parts in asked]
        wishes = _Wishes(self._model, [row.words for row in rows], [row.items[: row.answer] for row in rows])
        return _found(_Questions(self._model, wishes), self._trie, len(rows))


class TokenAnswers:
    """What a model of the token spelling can be asked: which items, which of several, what it says."""

    def __init__(
        self, model: Any, tokenizer: Any, tokens_LC: torch.Tensor, spelling: TokenSpelling, trie: Trie
    ) -> None:
        """``model`` a causal LM in evaluation mode, on the trie's device."""
        self._model, self._tokenizer, self.spelling, self._trie = model, tokenizer, spelling, trie
        self._finished = LogitRule.of(model.config)
        self._beams = CausalBeamModel(model, tokens_LC, lambda history: history.tolist(), catalogue=trie.catalogue)

    def find(self, task: Task, asked: Sequence[Parts]) -> Int32:
        """The best `AT` items for each question, int32 (B, AT)."""
        texts = _Texts(self._beams, [self.spelling.question(task, parts) for parts in asked])
        return _found(_Questions(self._beams, texts), self._trie, len(asked))

    @torch.no_grad()
    def likelihoods(self, task: Task, asked: Sequence[tuple[Parts, Int32]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Log-probability that the model gives each answer (an item, or token ids) to its question, float64 (B)."""
        found = []
        for begin in range(0, len(asked), BATCH):
            pairs = asked[begin : begin + BATCH]
            questions = [self.spelling.question(task, {**parts, task.answer: answer}) for parts, answer in pairs]
            endings = [self.spelling.ending(task, answer) for _, answer in pairs]
            texts = [np.concatenate(pair) for pair in zip(questions, endings, strict=True)]
            ids_BT, mask_BT = self._padded(texts, left=False)
            hidden_BTD = self._model.base_model(input_ids=ids_BT, attention_mask=mask_BT, use_cache=False)[0]
            for row, (question, ending) in enumerate(zip(questions, endings, strict=True)):
                said = slice(len(question) - 1, len(question) + len(ending) - 1)
                scores_TV = self._finished(self._model.get_output_embeddings()(hidden_BTD[row, said])).float()
                wanted_T = torch.from_numpy(ending.astype(np.int64)).to(scores_TV.device)
                found.append(-float(F.cross_entropy(scores_TV, wanted_T, reduction="sum")))
        return np.asarray(found, np.float64)

    @torch.no_grad()
    def say(self, task: Task, asked: Sequence[Parts], most: int) -> list[list[int]]:
        """Token ids that the model says to each question, at most ``most``, greedily, by plain `generate`.

        Questions that come with their answer leave room for it.
        """
        said: list[list[int]] = []
        for begin in range(0, len(asked), BATCH):
            texts = [self.spelling.question(task, parts) for parts in asked[begin : begin + BATCH]]
            ids_BT, mask_BT = self._padded(texts, left=True)
            out = self._model.generate(
                input_ids=ids_BT,
                attention_mask=mask_BT,
                max_new_tokens=min(most, context_of(self._model.config) - ids_BT.shape[1] + 1),
                do_sample=False,
                num_beams=1,
                repetition_penalty=1.0,
                eos_token_id=self._tokenizer.eos_token_id,
                pad_token_id=self._tokenizer.pad_token_id,
            )
            said += out[:, ids_BT.shape[1] :].tolist()
        return said

    def text(self, ids: Sequence[int]) -> str:
        """Token ids as words, special and code tokens left out."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def _padded(self, texts: Sequence[Int32], *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and attention mask, int64 (B, T)."""
        longest = max(map(len, texts))
        ids_BT = np.full((len(texts), longest), self._tokenizer.pad_token_id, np.int64)
        mask_BT = np.zeros_like(ids_BT)
        for row, text in enumerate(texts):
            places = slice(longest - len(text), None) if left else slice(len(text))
            ids_BT[row, places], mask_BT[row, places] = text, 1
        device = self._model.device
        return torch.from_numpy(ids_BT).to(device), torch.from_numpy(mask_BT).to(device)


def _found(model: _Questions, trie: Trie, questions: int) -> Int32:
    numbers = np.arange(questions, dtype=np.int32)[:, None]
    blocks = [
        beam_search(model, trie, list(numbers[begin : begin + BATCH]), AT, BEAMS, "legal").items
        for begin in range(0, questions, BATCH)
    ]
    return np.concatenate([np.zeros((0, AT), np.int32), *blocks])
