"""The compact spelling: one position an item, the next item's codes read from it level by level.

An item of the history enters a Hugging Face backbone as the sum of its code embeddings and projections of its text
and behaviour vectors. From the hidden state of every position a small depth decoder reads the codes of the item that
comes next, so that a beam costs no backbone step; an item head, where the shape has one, adds a score of the item
itself.

R rows, T positions, P target positions, B histories, K beams, L levels, C codes per level, N items, D width.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from semconv.artifacts import ItemVectors
from semconv.artifacts.ragged import Int32, Int64
from semconv.errors import ArtifactError
from semconv.llm.compact_batch import CompactBatch, CompactExample, in_one_row
from semconv.llm.depth import DepthDecoder
from semconv.llm.dropout import regularise
from semconv.llm.item_encoder import CompactShape, ItemEncoder
from semconv.llm.item_head import ItemHead, sampled
from semconv.llm.load import load_backbone, load_tokenizer
from semconv.llm.memory import Memory, positions_memory
from semconv.llm.packing import mask_for
from semconv.llm.probe import require_same_states
from semconv.llm.prompt_cache import PromptCache, Reading, passes, shared_prompts
from semconv.llm.protocol import Extended
from semconv.llm.trie import catalogue_mark

ENCODED = 4096
"""Items encoded at a time at the leaves of a search."""
WEIGHTS = "model.safetensors"
DESCRIPTION = "semconv.json"
BACKBONE = "backbone"

__all__ = ["BACKBONE", "DESCRIPTION", "WEIGHTS", "CompactModel", "CompactShape"]


class CompactState(NamedTuple):
    """Hidden states of the live beams, and what the item head asks for at the leaves, where there is one."""

    hidden_BKD: torch.Tensor
    queries_BE: torch.Tensor | None


class CompactModel(nn.Module):
    """A backbone, an item encoder and a depth decoder; a `BeamModel` once it has a catalogue (`attach`)."""

    def __init__(
        self,
        backbone: Any,
        tokenizer: Any,
        shape: CompactShape,
        *,
        dropout: float = 0.0,
        smoothing: float = 0.0,
        item_weight: float = 1.0,
    ) -> None:
        """``smoothing`` of the codes' loss, and ``item_weight`` of the item head's beside that of a level."""
        super().__init__()
        self.shape, self.tokenizer, self.smoothing, self.item_weight = shape, tokenizer, smoothing, item_weight
        self.levels, self.codes = shape.levels, shape.codes
        self.catalogue: int | None = None
        width = backbone.get_input_embeddings().embedding_dim
        self.backbone = backbone
        self.items = ItemEncoder(shape, width, unknown=dropout / 2)
        self.depth = DepthDecoder(shape.levels, shape.codes, width, min(width, shape.depth_width), dropout)
        self.head = ItemHead(width) if shape.item_head else None
        self.dropout = nn.Dropout(dropout)
        if dropout:
            regularise(backbone, dropout)

    def attach(self, codes_NL: Int32, vectors: ItemVectors) -> None:
        """Give the model its catalogue: codes int32 (N, L) and the vectors of the same items.

        Raises `ArtifactError` when the backbone cannot read many histories as one row.
        """
        require_same_states(self.backbone)
        self.items.attach(codes_NL, vectors)
        self.catalogue = catalogue_mark(codes_NL)

    def hidden(self, batch: CompactBatch) -> torch.Tensor:
        """The backbone's last hidden states, (R, T, D)."""
        out = self.backbone(
            inputs_embeds=self._inputs(batch),
            attention_mask=mask_for(self.backbone, batch.segments_RT),
            position_ids=batch.positions_RT,
            use_cache=False,
        )
        hidden_RTD: torch.Tensor = out.last_hidden_state
        return hidden_RTD

    def _inputs(self, batch: CompactBatch) -> torch.Tensor:
        """What the backbone is given at every position, (R, T, D)."""
        words_RTD = self.backbone.get_input_embeddings()(batch.words_RT.clamp(min=0))
        items_PD = self.items(batch.items_RT.flatten()[batch.item_places_P]).to(words_RTD.dtype)
        mixed_XD = words_RTD.flatten(0, 1).index_copy(0, batch.item_places_P, items_PD)
        inputs_RTD: torch.Tensor = self.dropout(mixed_XD.view_as(words_RTD))
        return inputs_RTD

    def forward(self, batch: CompactBatch) -> torch.Tensor:
        """Cross entropy of every target's codes, and of the item itself, summed and times ``batch.scale / L``."""
        targets_P = batch.targets_RT.flatten()[batch.target_places_P]
        codes_PL = self.items.codes_NL[targets_P]
        hidden_PD = self.hidden(batch).flatten(0, 1)[batch.target_places_P]
        logits = self.depth(hidden_PD, codes_PL)
        losses = [
            F.cross_entropy(logits_PC.float(), codes_PL[:, level], reduction="sum", label_smoothing=self.smoothing)
            for level, logits_PC in enumerate(logits)
        ]
        if self.head is not None:
            sample_S = sampled(len(self.items.codes_NL), targets_P.device)
            encoded_XD = self.items(torch.cat([targets_P, sample_S]))
            targets_PD, sample_SD = encoded_XD[: len(targets_P)], encoded_XD[len(targets_P) :]
            loss = self.head.loss(self.dropout(hidden_PD), targets_PD, sample_SD, len(self.items.codes_NL))
            losses.append(self.item_weight * loss)
        return torch.stack(losses).sum() * (batch.scale / self.levels)

    @torch.no_grad()
    def start(
        self,
        histories: Sequence[Int32],
        beams: int,  # noqa: ARG002  # nothing is kept for beams to look back at
        *,
        normalised: bool,
        words: Sequence[Int32] | None = None,
    ) -> tuple[CompactState, torch.Tensor]:
        """See `BeamModel`; ``words`` are token ids that go before each history (a wish), possibly empty."""
        none = np.zeros(0, np.int32)
        examples = [
            CompactExample(none if words is None else words[row], history[-self.shape.max_history :], None)
            for row, history in enumerate(histories)
        ]
        lengths = np.asarray([len(example) for example in examples], np.int64)
        parts = passes(lengths, self.items.codes_NL.device)
        read_BD = torch.cat([self._read(examples[users], lengths[users]) for users in parts])
        hidden_BD = self.depth.enter(read_BD)
        queries_BE = None if self.head is None else self.head.queries(read_BD)
        return CompactState(hidden_BD[:, None], queries_BE), self._scores(0, hidden_BD, normalised)

    @torch.no_grad()
    def step(
        self, state: CompactState, level: int, beams: Extended, *, normalised: bool
    ) -> tuple[CompactState, torch.Tensor]:
        """See `BeamModel`; touches the depth decoder only."""
        users = torch.arange(len(state.hidden_BKD), device=state.hidden_BKD.device)[:, None]
        hidden_BKD = state.hidden_BKD[users, beams.parents_BK] + self.depth.prefix[level - 1](beams.codes_BK)
        scores_XC = self._scores(level, hidden_BKD[beams.asked_BK], normalised)
        return CompactState(hidden_BKD, state.queries_BE), scores_XC

    @torch.no_grad()
    def finish(self, state: CompactState, items_T: torch.Tensor, rows_T: torch.Tensor) -> torch.Tensor | None:
        """See `BeamModel`."""
        if self.head is None or state.queries_BE is None:
            return None
        found_S, places_T = torch.unique(items_T, return_inverse=True)
        keys_SE = torch.cat([self.head.keys(self.items(part)) for part in found_S.split(ENCODED)])
        return self.head.scores(state.queries_BE[rows_T], keys_SE[places_T])

    def memory(self, history: int, beams: int) -> Memory:
        """See `BeamModel`."""
        decoder = self.depth.level.embedding_dim
        size = self.depth.level.weight.element_size()
        beam = 7 * decoder * size + 8 * self.codes
        need = positions_memory(self.backbone, min(history, self.shape.max_history) + 1, beams * beam)
        if self.head is None:
            return need
        width = self.head.query.out_features
        encoded = ENCODED * (self.shape.text_width + self.shape.behaviour_width + 8 * width)
        return Memory(max(need.fixed, size * encoded), max(need.per_user, 4 * size * beams * (width + 1)))

    def _read(self, examples: Sequence[CompactExample], lengths: Int64) -> torch.Tensor:
        """The backbone's hidden state at the end of each example, (B, D)."""
        device = self.items.codes_NL.device
        batch = in_one_row(examples).to(device)
        cache = PromptCache(len(examples), int(lengths.max()))
        reading = Reading.of_prompts(cache, slice(0, len(examples)), lengths, 0, device)
        with shared_prompts(self.backbone):
            out = self.backbone(
                inputs_embeds=self._inputs(batch), position_ids=batch.positions_RT, use_cache=False, reading=reading
            )
        ends_BD: torch.Tensor = out.last_hidden_state[0, batch.ends_2B[1]]
        return ends_BD

    def _scores(self, level: int, hidden_XD: torch.Tensor, normalised: bool) -> torch.Tensor:
        scores_XC = self.depth.score(level, hidden_XD).float()
        return scores_XC.log_softmax(-1) if normalised else scores_XC

    def save(self, folder: Path) -> None:
        """Write weights, ``semconv.json``, and ``backbone/`` with its tokenizer, which `AutoModel` loads."""
        self.backbone.save_pretrained(folder / BACKBONE)
        self.tokenizer.save_pretrained(folder / BACKBONE)
        own = {n: t.contiguous() for n, t in self.state_dict().items() if not n.startswith(f"{BACKBONE}.")}
        save_file(own, folder / WEIGHTS)
        description = {"spelling": "compact", **asdict(self.shape)}
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=2, sort_keys=True) + "\n")

    @classmethod
    def load(cls, folder: Path, codes_NL: Int32, vectors: ItemVectors) -> Self:
        """Open what `save` wrote, in evaluation mode, over a catalogue: codes int32 (N, L) and its vectors.

        Raises `ArtifactError` when codes or vectors are not of the widths that the model was trained with.
        """
        described = json.loads((folder / DESCRIPTION).read_text())
        unknown = CompactShape.__dataclass_fields__.keys() - described.keys()
        if unknown:
            raise ArtifactError(f"{folder / DESCRIPTION} does not say {', '.join(sorted(unknown))}", "Align again")
        shape = CompactShape(**{name: described[name] for name in CompactShape.__dataclass_fields__})
        found = (codes_NL.shape[1], vectors.text.shape[1], vectors.behaviour.shape[1])
        expected = (shape.levels, shape.text_width, shape.behaviour_width)
        if found != expected or codes_NL.max(initial=0) >= shape.codes:
            raise ArtifactError(
                f"The model in {folder} was trained for {shape.codes} codes and (levels, text width, behaviour width) "
                f"{expected}; the catalogue has {found}",
                "Open it with the tokens and vectors it was trained on, or align again",
            )
        backbone = load_backbone(folder / BACKBONE)
        model = cls(backbone, load_tokenizer(folder / BACKBONE), shape)
        missing, unexpected = model.load_state_dict(load_file(folder / WEIGHTS), strict=False)
        absent = [name for name in missing if not name.startswith(f"{BACKBONE}.")]
        if absent or unexpected:
            raise ArtifactError(f"{folder / WEIGHTS} lacks or adds weights: {absent + unexpected}", "Align again")
        model.attach(codes_NL, vectors)
        return model.eval()
