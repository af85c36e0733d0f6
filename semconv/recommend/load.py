"""Opening the systems of a run: what ranks in the evaluation, fills the snapshot and answers live.

Every artifact is checked against the others before a weight is read, so that a model never meets tokens, vectors or
a catalogue other than those it was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from semconv.alignment.prompts import HistoryPrompt
from semconv.artifacts import Convergence, Corpus, ItemTokens, ItemVectors, Recommender, Run, check_lineage
from semconv.behaviour.store import Behaviour
from semconv.config import RecommendSettings, Settings
from semconv.errors import ArtifactError
from semconv.llm.causal import CausalBeamModel
from semconv.llm.compact import CompactModel
from semconv.llm.load import load_causal, load_tokenizer
from semconv.llm.protocol import BeamModel
from semconv.llm.search import Scoring
from semconv.llm.trie import Trie, catalogue_mark
from semconv.llm.vocabulary import code_ids
from semconv.recommend.blend import read_blend
from semconv.recommend.collaborative import CollaborativeRanker
from semconv.recommend.converged import ConvergedRanker
from semconv.recommend.convergence import CONVERGED, GENERATIVE, STEERED, WITHOUT_GENERATIVE
from semconv.recommend.evidence import Source, source_name
from semconv.recommend.generative import GenerativeRanker
from semconv.recommend.generative_source import GenerativeSource
from semconv.recommend.plain_sources import FactsSource, HistorySource, PopularitySource
from semconv.recommend.random_ranker import RandomRanker
from semconv.recommend.ranker import Ranker
from semconv.recommend.remembered import Remembered
from semconv.recommend.rules import Rules
from semconv.recommend.score_sources import CounterSource, EncoderSource, TextSource
from semconv.recommend.steered import SteeredRanker
from semconv.recommend.text_neighbours import TextNeighbours
from semconv.recommend.wish import WishSource, open_encoder

Precision = Literal["float32", "bf16"]
_DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}


class Opened:
    """The artifacts behind a run's systems, opened and found to belong together."""

    def __init__(self, run: Run) -> None:
        """Raises `ArtifactError` when one is absent, unfinished or was made from others than its neighbours."""
        self.corpus = Corpus.open(run.artifact("corpus"))
        self.vectors = ItemVectors.open(run.artifact("vectors"))
        self.behaviour = Behaviour.open(run.artifact("behaviour"))
        self.tokens = ItemTokens.open(run.artifact("tokens"))
        self.recommender = Recommender.open(run.artifact("model"))
        check_lineage((self.corpus, self.vectors, self.behaviour, self.tokens, self.recommender))

    def sources(self, beams: int, precision: Precision = "float32") -> list[Source]:
        """All that knows something of histories and items, the generative model with ``beams`` beams among it."""
        counts_N, text = self.behaviour.counts, TextNeighbours(self.vectors.text, self.vectors.has_text)
        counters = (self.behaviour.item_to_item, self.behaviour.item_to_item_tuned)
        return [
            GenerativeSource(self.generative(beams, "legal", precision)),
            *(EncoderSource(encoder, counts_N) for encoder in self.behaviour.encoders.values()),
            *(CounterSource(counter, counts_N) for counter in counters if counter is not None),
            TextSource(text, self.vectors.text, counts_N),
            FactsSource(self.corpus.items),
            PopularitySource(counts_N),
            HistorySource(self.corpus.n_items),
        ]

    def wishes(self) -> WishSource:
        """The catalogue as wishes in words see it; raises as `open_encoder` does."""
        return WishSource(self.corpus.items, self.vectors.text, self.behaviour.counts, open_encoder(self.vectors))

    def generative(self, beams: int, scoring: Scoring, precision: Precision) -> GenerativeRanker:
        """See `open_generative`."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = _beam_model(self.recommender, self.tokens, self.vectors, _DTYPES[precision], device)
        counts = self.behaviour.counts
        trie = Trie.build(self.tokens.codes, self.tokens.codes_per_level, training_counts=counts).to(device)
        return GenerativeRanker(f"generative_{self.recommender.spelling}", model, trie, beams, scoring)


def open_generative(
    run: Run, beams: int, *, scoring: Scoring = "legal", precision: Precision = "float32"
) -> GenerativeRanker:
    """The aligned model of a run, named ``generative_compact`` or ``generative_tokens`` by its spelling.

    Scores over legal continuations unless told otherwise, as validation during alignment does. Lies on the GPU where
    there is one. Raises `ArtifactError` as `Opened` does, and when the model does not load.
    """
    return Opened(run).generative(beams, scoring, precision)


def open_recommender(run: Run, chosen: RecommendSettings) -> Ranker:
    """What a run recommends: what evaluation calls ``converged``, or the aligned model alone, by the shop's rules.

    Raises `ArtifactError` as `open_generative` does, and when the blend was fitted on other evidence than there is;
    `SettingError` as `Rules.of` does.
    """
    opened = Opened(run)
    rules = Rules.of(opened.corpus, chosen)
    if chosen.system == "generative":
        return rules.over(opened.generative(chosen.beams, "legal", chosen.precision), chosen.beams)
    return rules.over(
        _converged(opened, opened.sources(chosen.beams, chosen.precision), run, chosen)[0], chosen.candidates
    )


def open_steered(run: Run, chosen: RecommendSettings) -> SteeredRanker:
    """``converged`` for people who say what they would like; who says nothing gets its list. The shop's rules hold.

    Raises as `open_recommender` and `open_encoder` do, and `ArtifactError` when no wishes were fitted on.
    """
    opened, artifact = Opened(run), Convergence.open(run.artifact("blend"))
    if STEERED not in artifact.blends:
        raise ArtifactError(
            f"{artifact.path} has no blend that takes wishes",
            "Redo the stage converge with converge.wish_users above 0",
        )
    rules, wishes, counts_N = Rules.of(opened.corpus, chosen), opened.wishes(), opened.behaviour.counts
    converged = _converged(opened, opened.sources(chosen.beams, chosen.precision), run, chosen)[0]
    blend = read_blend(artifact, STEERED, [*converged.sources, wishes])
    return SteeredRanker(
        STEERED, converged, wishes, blend, counts_N, lambda ranker: rules.over(ranker, chosen.candidates)
    )


def open_rankers(run: Run, settings: Settings) -> dict[str, Ranker]:
    """Every system of a run by name: random, the collaborative models, text neighbours, and the aligned model.

    None of them keeps a shop's rules.
    Raises `ArtifactError` as `open_generative` does.
    """
    opened, chosen = Opened(run), settings.recommend
    rankers: list[Ranker] = [RandomRanker(opened.corpus.n_items, settings.run.seed)]
    counts_N = opened.behaviour.counts
    models = (*opened.behaviour.models().values(), TextNeighbours(opened.vectors.text, opened.vectors.has_text))
    rankers += [CollaborativeRanker(model, counts_N) for model in models]
    rankers.append(opened.generative(chosen.beams, "legal", chosen.precision))
    sources: list[Source] = [Remembered(source) for source in opened.sources(chosen.beams, chosen.precision)]
    rankers += _converged(opened, sources, run, chosen)
    return {ranker.name: ranker for ranker in rankers}


def _converged(opened: Opened, sources: Sequence[Source], run: Run, chosen: RecommendSettings) -> list[ConvergedRanker]:
    """The blend of all sources, and that of all but the generative model."""
    traditional = [source for source in sources if source_name(source) != GENERATIVE]
    blends = Convergence.open(run.artifact("blend"))
    check_lineage((blends, opened.recommender))
    return [
        ConvergedRanker(name, among, read_blend(blends, name, among), opened.behaviour.counts, chosen.candidates)
        for name, among in ((CONVERGED, sources), (WITHOUT_GENERATIVE, traditional))
    ]


def _beam_model(
    recommender: Recommender, tokens: ItemTokens, vectors: ItemVectors, dtype: torch.dtype, device: torch.device
) -> BeamModel:
    folder = recommender.path
    if recommender.spelling == "compact":
        return CompactModel.load(folder, tokens.codes, vectors).to(device, dtype)
    if recommender.spelling == "tokens":
        tokenizer = load_tokenizer(folder)
        model = load_causal(folder, tokenizer).to(device, dtype).eval()
        tokens_LC = code_ids(tokenizer, tokens.levels, tokens.codes_per_level)
        said = recommender.description
        prompt = HistoryPrompt(tokenizer, tokens_LC, tokens.codes, said["max_history"], said.get("opening"))
        return CausalBeamModel(model, torch.from_numpy(tokens_LC), prompt, catalogue=catalogue_mark(tokens.codes))
    raise ArtifactError(
        f"{folder} holds a model of the unknown spelling '{recommender.spelling}'",
        "Redo align with align.spelling compact or tokens",
    )
