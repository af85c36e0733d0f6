"""The probes of an exported model, opened as anybody would open it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from semconv.alignment.builder import Builder
from semconv.alignment.spelling import CompactSpelling, TokenSpelling
from semconv.artifacts import Corpus, ItemTokens, ItemVectors
from semconv.llm.compact import CompactModel
from semconv.llm.load import load_causal, load_tokenizer
from semconv.llm.trie import Trie
from semconv.llm.vocabulary import code_ids
from semconv.training.answers import CompactAnswers, TokenAnswers
from semconv.training.probes import Probe, Prober


def probe_export(
    folder: Path, corpus: Corpus, vectors: ItemVectors, tokens: ItemTokens, builder: Builder, questions: int
) -> list[Probe]:
    """Probe the model in ``folder``, on the GPU where there is one.

    ``builder`` is that of its examples; ``questions``: users or items that a probe asks about, at most.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    counts = np.bincount(corpus.training().values, minlength=corpus.n_items)
    trie = Trie.build(tokens.codes, tokens.codes_per_level, training_counts=counts).to(device)
    answers: TokenAnswers | CompactAnswers
    if isinstance(builder.spelling, TokenSpelling):
        tokenizer = load_tokenizer(folder)
        model = load_causal(folder, tokenizer).to(device).eval()
        ids_LC = torch.from_numpy(code_ids(tokenizer, tokens.levels, tokens.codes_per_level))
        answers = TokenAnswers(model, tokenizer, ids_LC, builder.spelling, trie)
    else:
        assert isinstance(builder.spelling, CompactSpelling)
        answers = CompactAnswers(CompactModel.load(folder, tokens.codes, vectors).to(device), builder.spelling, trie)
    return Prober(corpus, builder.shop, answers, questions).probes()
