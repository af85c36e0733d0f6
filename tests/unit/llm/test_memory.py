"""The memory formula bounds what a search takes, from above and not by much; the ranker's batches follow it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from table_model import TableModel, histories

from semconv.llm import memory
from semconv.llm.memory import GAPS, Memory, search_memory
from semconv.llm.trie import Trie
from semconv.recommend import generative
from semconv.recommend.generative import GenerativeRanker

MEASURE = """
import json, os, sys
import numpy as np, psutil, torch
from benchmarks.decode_models import CPU_SHAPES, CODES, compact_model, language_model, random_prompts, synthetic_codes
from benchmarks.decode_models import token_model
from semconv.llm.memory import search_memory
from semconv.llm.search import beam_search
from semconv.llm.trie import Trie
torch.set_num_threads(1)
shape = CPU_SHAPES["demo"] | {"hidden_size": 64, "intermediate_size": 128}  # what is cached as in demo, for less work

def measure(spelling, users, length, beams):
    scoring = "legal" if spelling == "chains" else "full"
    codes = synthetic_codes(5000)
    if spelling == "chains":  # after the first code two without a choice, so that three wait to be fed at once
        first, last = np.divmod(np.arange(2048), 8)
        codes = np.stack([first, first * 7 % 256, first * 11 % 256, last], axis=1).astype(np.int32)
    trie = Trie.build(codes, CODES)
    if spelling != "compact":
        model, tokens = token_model(language_model(shape, torch.float32)), 7000
    else:
        model, tokens = compact_model(shape, codes, torch.float32), 5000
    prompts = random_prompts(users, length, tokens)
    beam_search(model, trie, [prompt[:4] for prompt in prompts[:1]], 5, 5, scoring)
    before = psutil.Process().memory_info().rss
    beam_search(model, trie, prompts, beams, beams, scoring)
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    peak = int(status["VmHWM"].split()[0]) * 1024 - before  # getrusage would carry on what the parent took
    need = model.memory(length, beams) + search_memory(trie, beams)
    return {"peak": peak, "bound": need.peak(users)}

children = []
for case in json.loads(sys.argv[1]):  # a process each, whose peak starts at what it was forked with
    children.append(os.fork())
    if not children[-1]:
        os.write(1, (json.dumps([case, measure(*case)]) + "\\n").encode())
        os._exit(0)
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""


def test_a_search_takes_what_the_formula_says() -> None:
    cases = [["tokens", 48, 60, 40], ["compact", 384, 20, 60], ["chains", 12, 8, 160]]
    # Freed tensors leave the process at once; a pool of threads would not outlive the fork.
    alone = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072", "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", MEASURE, json.dumps(cases)], capture_output=True, env=alone)
    assert run.returncode == 0, run.stderr.decode()
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert sorted(case for case, _ in found) == sorted(cases)
    for case, measured in found:
        assert measured["peak"] <= measured["bound"] <= 3 * measured["peak"], (case, measured)


def test_a_container_leaves_what_is_below_its_limit(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert memory._below_limit(tmp_path) == 600
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._below_limit(tmp_path) == sys.maxsize == memory._below_limit(tmp_path / "nowhere")


def test_the_largest_batch_that_fits() -> None:
    need = Memory(1000, 10) + Memory(0, 40)
    users = need.users(1660)
    assert users == 10
    assert need.peak(users) <= 1660 < need.peak(users + 1)
    assert need.users(0) == 1


def test_the_trie_bounds_the_candidates() -> None:
    rows = np.array([[0, c] for c in range(7)] + [[1, 0], [1, 1], [2, 0]], np.int32)
    trie = Trie.build(rows, 8)
    prefixes = {1: 16, 2: 32, 100: 160}  # two scores of four bytes, twice, of each beam; no more beams than items
    one, two, all_of_them = (search_memory(trie, beams).per_user - taken for beams, taken in prefixes.items())
    assert one * 9 == two * 7
    assert one * 10 == all_of_them * 7


class Thirsty(TableModel):
    """Says that every user takes a third of what it is told is free."""

    def memory(self, history: int, beams: int) -> Memory:
        return Memory(0, 1000)


def test_a_ranker_searches_batches_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).integers(0, 4, (40, 3)).astype(np.int32)
    model, trie = Thirsty(8, 3, 4), Trie.build(rows, 4)
    seen = np.random.default_rng(1).integers(0, 40, (8, 5)).astype(np.int32)
    masks = np.random.default_rng(2).random((8, 40)) < 0.7

    def ranked(free: int) -> Any:
        monkeypatch.setattr(generative, "free_memory", lambda device: free)
        model.batches = []
        return GenerativeRanker("generative", model, trie, 12).rank(histories(8), 5, exclude=list(seen), allow=masks)

    assert torch.device("cpu") == trie.device
    whole = ranked(10**9)
    assert model.batches == [8]
    parts = ranked(int(3.5 * GAPS * (1000 + search_memory(trie, 12).per_user) / generative.SHARE))
    assert model.batches == [3, 3, 2]
    np.testing.assert_array_equal(whole.items, parts.items)
    np.testing.assert_allclose(whole.scores, parts.scores, atol=1e-5)
    assert GenerativeRanker("generative", model, trie, 12).rank([], 5).items.shape == (0, 5)
