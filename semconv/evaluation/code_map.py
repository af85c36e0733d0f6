"""Items in the plane, coloured by their first code: whether a code stands for things that are alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

import numpy as np
import torch

from semconv.artifacts import ItemTokens, ItemVectors
from semconv.artifacts.ragged import Int32
from semconv.config import TokenizeSettings
from semconv.evaluation.charts import scatter_chart
from semconv.evaluation.html import figure
from semconv.tokens.map import Float64, ItemMap, mapped_items
from semconv.tokens.tokenizer import ItemTokenizer, modalities_of


@dataclass(frozen=True)
class CodeMap:
    """S items at ``places`` float64 (S, 2), each axis within -1 .. 1, and their ``first_codes``, int32 (S)."""

    places: Float64
    first_codes: Int32
    caption: str

    def figure(self, title: str) -> str:
        """The map as HTML; ``title`` and caption are plain text."""
        groups = [
            [(float(x), float(y)) for x, y in self.places[self.first_codes == code]]
            for code in np.unique(self.first_codes)
        ]
        caption = f"<strong>Map</strong>: {escape(self.caption)}, one colour a first code"
        return figure(caption, scatter_chart(title, groups))


def code_map(tokens: ItemTokens, vectors: ItemVectors, seed: int) -> CodeMap:
    """The map of a run's codes, in the space that they were fitted in.

    Appended tokens were fitted on behaviour vectors of another run, so that of that space only the text is left.
    """
    if tokens.ancestors:
        items = mapped_items(vectors.has_text, seed)
        found = ItemMap.of(items, vectors.text[torch.from_numpy(items)], space="text", seed=seed)
    else:
        items = mapped_items(vectors.has_text | vectors.has_behaviour, seed)
        found = ItemMap.of(items, _fused(tokens, vectors, torch.from_numpy(items)), space="fused", seed=seed)
    return CodeMap(found.places, tokens.codes[items, 0], found.caption)


def _fused(tokens: ItemTokens, vectors: ItemVectors, items_S: torch.Tensor) -> torch.Tensor:
    """What the codes of these items were fitted on, float32 (S, F)."""
    modalities = modalities_of(vectors, TokenizeSettings(**tokens.manifest.settings["tokenize"]))
    asked = {name: replace(m, vectors=m.vectors[items_S], has=m.has[items_S]) for name, m in modalities.items()}
    return ItemTokenizer.open(tokens).fusion(asked)
