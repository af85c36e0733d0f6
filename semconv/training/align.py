"""Alignment: the language model learns the item codes, in either spelling."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from semconv.alignment.batches import Batches, E, Examples
from semconv.alignment.builder import open_builder
from semconv.alignment.mixture import Mixture, Pools, epoch_counts
from semconv.alignment.prompts import HistoryPrompt, history_opening
from semconv.alignment.registry import description_of, weights_of
from semconv.alignment.room import read_at_once
from semconv.alignment.sequences import windows
from semconv.alignment.spelling import compact_example, compact_size, token_example, token_size
from semconv.artifacts import AlignmentExamples, BaseModel, Corpus, ItemTokens, ItemVectors, Recommender
from semconv.artifacts.examples import ExampleRow
from semconv.config import AlignSettings
from semconv.errors import ArtifactError
from semconv.llm.causal import CausalBeamModel
from semconv.llm.compact import DESCRIPTION, CompactModel
from semconv.llm.compact_batch import pack_examples
from semconv.llm.item_encoder import CompactShape
from semconv.llm.load import load_backbone, load_causal, load_tokenizer
from semconv.llm.lora import merge_lora
from semconv.llm.packed_causal import PackedCausal, pack_texts
from semconv.llm.packed_probe import may_share, require_apart
from semconv.llm.trie import catalogue_mark
from semconv.llm.vocabulary import add_code_tokens, code_ids
from semconv.tokens.contrast import projected_codes
from semconv.training.adapt import adapt
from semconv.training.job import EngineChoice, Job
from semconv.training.loop import Plan, Trained
from semconv.training.plain import put_weights
from semconv.training.pretrain import write_curves
from semconv.training.probes import write_probes
from semconv.training.probing import probe_export
from semconv.training.validation import Validation, validate_with

TOKEN_ROW = 256


@dataclass(frozen=True)
class Inputs:
    """The artifacts an alignment starts from; without ``examples``, the same ones are made as they are asked for.

    ``start`` is a model in the same spelling and shape whose weights training begins with, of tokens that these
    continue.
    """

    corpus: Corpus
    vectors: ItemVectors
    tokens: ItemTokens
    base: BaseModel
    examples: AlignmentExamples | None = None
    start: Recommender | None = None


def alignment(inputs: Inputs, settings: AlignSettings, seed: int) -> Job:
    """The job for the chosen spelling.

    Raises as `open_builder` does, for examples of other settings, and `ArtifactError` for a start of another shape.
    """
    if inputs.start is not None and inputs.start.spelling != settings.spelling:
        raise ArtifactError(
            f"{inputs.start.path} is spelt in {inputs.start.spelling}, and align.spelling is {settings.spelling}",
            "Start from a model of the same spelling",
        )
    return (_compact if settings.spelling == "compact" else _tokens)(inputs, settings, seed)


def _compact(inputs: Inputs, settings: AlignSettings, seed: int) -> Job:
    tokenizer = load_tokenizer(inputs.base.path)
    read_at_once(inputs.base.path, settings, tokenizer, inputs.tokens.levels)
    vectors, tokens = inputs.vectors, inputs.tokens
    shape = CompactShape(
        levels=tokens.levels,
        codes=tokens.codes_per_level,
        text_width=vectors.text.shape[1],
        behaviour_width=vectors.behaviour.shape[1],
        depth_width=settings.depth_width,
        max_history=settings.max_history,
        item_head=settings.item_weight > 0,
    )

    def build() -> CompactModel:
        backbone = load_backbone(inputs.base.path)
        torch.manual_seed(seed)
        model = CompactModel(
            backbone,
            tokenizer,
            shape,
            dropout=settings.dropout,
            smoothing=settings.label_smoothing,
            item_weight=settings.item_weight,
        )
        model.attach(tokens.codes, vectors)
        if inputs.start is not None:
            _start_from(model, CompactModel.load(inputs.start.path, tokens.codes, vectors))
        return model

    def export(trained: Trained, folder: Path) -> None:
        model = build()
        put_weights(model, trained.weights)
        model.save(folder)
        write_curves(trained, folder)
        _probe(inputs, settings, seed, folder)

    examples = _examples(inputs, settings, seed, compact_example, compact_size)
    return _job(inputs, settings, seed, build, examples, pack_examples, export, lambda model: model)


def _start_from(model: CompactModel, start: CompactModel) -> None:
    if start.shape != model.shape:
        raise ArtifactError(
            f"The model that training starts from has the shape {start.shape}, and the settings ask for {model.shape}",
            "Give the settings that it was aligned with",
        )
    model.load_state_dict(start.state_dict())


def _tokens(inputs: Inputs, settings: AlignSettings, seed: int) -> Job:
    levels, codes = inputs.tokens.levels, inputs.tokens.codes_per_level

    def spoken() -> tuple[Any, Any]:
        source = inputs.base.path if inputs.start is None else inputs.start.path
        tokenizer = load_tokenizer(source)
        model = load_causal(source, tokenizer)
        if inputs.start is not None:
            return tokenizer, model
        torch.manual_seed(seed)
        meanings_LCD = projected_codes(inputs.tokens.quantizer) if settings.code_rows == "projected" else None
        add_code_tokens(tokenizer, model, levels, codes, meanings_LCD)
        return tokenizer, model

    tokenizer, model = spoken()
    read_at_once(inputs.base.path, settings, tokenizer, levels)
    ids_LC = code_ids(tokenizer, levels, codes)
    opening = history_opening(settings.tasks.templates)
    prompt = HistoryPrompt(tokenizer, ids_LC, inputs.tokens.codes, settings.max_history, opening)

    def build() -> PackedCausal:
        wrapped = PackedCausal(spoken()[1], dropout=settings.dropout)
        adapt(wrapped, torch.from_numpy(ids_LC), settings)
        return wrapped

    def export(trained: Trained, folder: Path) -> None:
        wrapped = build()
        put_weights(wrapped, trained.weights)
        merge_lora(wrapped.model)
        wrapped.model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        description = {
            "spelling": "tokens",
            "levels": levels,
            "codes": codes,
            "max_history": settings.max_history,
            "opening": opening,
        }
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=2, sort_keys=True) + "\n")
        write_curves(trained, folder)
        _probe(inputs, settings, seed, folder)

    examples = _examples(inputs, settings, seed, token_example, token_size)
    wrapped = PackedCausal(model).eval()
    require_apart(wrapped)
    pack = partial(_pack_texts, row=TOKEN_ROW, share=may_share(wrapped))
    beam_model = partial(
        _causal_beams,
        tokens_LC=torch.from_numpy(ids_LC),
        prompt=prompt,
        catalogue=catalogue_mark(inputs.tokens.codes),
    )
    beam_model(wrapped)  # what could not be searched with is refused before it is trained
    return _job(inputs, settings, seed, build, examples, pack, export, beam_model)


def _pack_texts(examples: Sequence[Any], scale: float, row: int, share: bool) -> Any:
    return pack_texts(examples, row, scale, share=share)


def _causal_beams(model: nn.Module, tokens_LC: torch.Tensor, prompt: HistoryPrompt, catalogue: int) -> CausalBeamModel:
    return CausalBeamModel(model.model, tokens_LC, prompt, catalogue=catalogue)


def _job(
    inputs: Inputs,
    settings: AlignSettings,
    seed: int,
    build: Any,
    examples: Examples[Any],
    pack: Any,
    export: Any,
    beam_model: Any,
) -> Job:
    return Job(
        build=build,
        batches=lambda rank, world: Batches(
            examples,
            pack,
            batch_size=settings.batch_size,
            seed=seed,
            rank=rank,
            world=world,
            accumulate=settings.accumulate,
        ),
        batch_size=settings.batch_size,
        plan=lambda steps: Plan(
            epochs=settings.epochs,
            steps=steps,
            learning_rate=settings.learning_rate,
            warmup=settings.warmup,
            seed=seed,
            validate_every=settings.validate_every,
            patience=settings.patience,
            checkpoint_every=settings.checkpoint_every,
            warm_rows=settings.warm_rows,
        ),
        engine=EngineChoice(
            settings.engine,
            settings.precision,
            settings.zero_stage,
            settings.weight_decay,
            settings.accumulate,
            settings.gradient_checkpointing,
            settings.liger,
            settings.offload,
        ),
        export=export,
        validate=validate_with(Validation(inputs.corpus, inputs.tokens, settings.validation_users, seed), beam_model),
    )


def _examples(
    inputs: Inputs,
    settings: AlignSettings,
    seed: int,
    make: Callable[[ExampleRow], E],
    measure: Callable[[ExampleRow], tuple[int, int]],
) -> Mixture[E]:
    """What every epoch holds, from the examples that were written or from what would write them."""
    if inputs.examples is not None:
        inputs.examples.require(**description_of(settings, seed))
    pools: Pools = inputs.examples or open_builder(
        inputs.corpus, inputs.vectors, inputs.tokens, inputs.base, settings, seed
    )
    sequences = len(windows(inputs.corpus.training(), settings.max_history + 1))
    return Mixture(pools, epoch_counts(pools.sizes, weights_of(settings), sequences), seed, make, measure)


def _probe(inputs: Inputs, settings: AlignSettings, seed: int, folder: Path) -> None:
    """Write what the exported model has learned besides ranking."""
    if settings.probe_questions:
        builder = open_builder(inputs.corpus, inputs.vectors, inputs.tokens, inputs.base, settings, seed)
        asked = settings.probe_questions
        write_probes(folder, probe_export(folder, inputs.corpus, inputs.vectors, inputs.tokens, builder, asked))
