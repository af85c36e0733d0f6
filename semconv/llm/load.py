"""Opening a language model from a folder or by hub id: safetensors only, no code from strangers, a pad token always.

B rows, T positions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from semconv.errors import ArtifactError

UNBOUNDED = 2**20
_PAD = "<pad>"
_WINDOWS = {"sliding_window": "sliding_attention", "attention_chunk_size": "chunked_attention"}
"""Settings of a model's configuration, and the layers that they are for where it tells its layers apart."""


def load_tokenizer(source: str | Path) -> Any:
    """The tokenizer, with a pad token: its own, or the end-of-text token, or a new one.

    A new one enlarges the vocabulary; `load_causal` makes room for it. Raises `ArtifactError` when there is none.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(source), trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable("tokenizer", source, error) from error
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token is not None:
            tokenizer.pad_token = tokenizer.eos_token
        else:
            tokenizer.add_special_tokens({"pad_token": _PAD})
    return tokenizer


def load_causal(source: str | Path, tokenizer: Any) -> Any:
    """The causal LM in float32, on the CPU, with an embedding row for every token of ``tokenizer``."""
    model = _pretrained("AutoModelForCausalLM", "causal language model", source)
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def load_backbone(source: str | Path) -> Any:
    """The model without its output head, in float32, on the CPU."""
    return _pretrained("AutoModel", "model", source)


def load_config(source: str | Path) -> Any:
    """The configuration of a model that is not loaded."""
    return _pretrained("AutoConfig", "configuration", source)


def context_of(config: Any) -> int:
    """Longest sequence that a model of this configuration reads (tokens)."""
    return int(getattr(config, "max_position_embeddings", UNBOUNDED))


def window_of(config: Any) -> int:
    """Tokens up to which every layer looks back on all of a text; `UNBOUNDED` where none has a window or chunks."""
    text = config.get_text_config()
    kinds = getattr(text, "layer_types", None) or _WINDOWS.values()
    sizes = [getattr(text, name, None) for name, kind in _WINDOWS.items() if kind in kinds]
    return min([UNBOUNDED, *(size for size in sizes if isinstance(size, int) and size > 0)])


def _pretrained(kind: str, what: str, source: str | Path) -> Any:
    import transformers
    from transformers.utils import logging

    hide_bars: Any = logging.disable_progress_bar  # transformers would draw its own over ours
    hide_bars()
    try:
        return getattr(transformers, kind).from_pretrained(
            str(source),
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            attn_implementation="sdpa",
        )
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(what, source, error) from error


def _unreadable(what: str, source: str | Path, error: Exception) -> ArtifactError:
    return ArtifactError(
        f"No {what} could be read from '{source}' ({str(error).splitlines()[0]})",
        "Give base.model as a folder with a transformers causal LM in safetensors, or as a hub id that can be reached",
    )
