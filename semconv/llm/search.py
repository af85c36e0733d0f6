"""Constrained beam search: the best items of the catalogue under a model, and nothing but items of the catalogue.

The search walks the `Trie` level by level with K beams a user, all users at once. A level takes the children of the
live beams (a flat list by CSR: below the first codes a node has few), adds what the model says of their codes, and
keeps the K best. The items under the last code are the children of one more level, where a model may add what it says
of the item itself.

Filters act inside: a node is alive for a user only if an item that this user may see lies below it. Every live node
has a live child, so when a level keeps K nodes the next has at least K to choose from, and when it keeps fewer it has
kept them all. With K >= k, k items come back whenever k legal ones exist.

Scorings:
    full    log-probabilities as the model normalises them; what Hugging Face's beam search with a prefix constraint
            and ``length_penalty=0`` computes
    legal   renormalised, at every code, over the continuations that the catalogue has; a code without alternative adds
            log 1 = 0, and the model is not asked about it. Filters take no part in it, so that an item's score does
            not depend on what else is excluded.

Either adds at the leaves what the model says of whole items, if it says anything; the sum ranks the items of one
history, and is no log-probability then.

Equal scores are ranked by code tuple, in lexicographic order, and items that share a tuple as `Trie` ranks them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import torch

from semconv.artifacts.ragged import Int32
from semconv.behaviour.ordering import NO_ITEM
from semconv.errors import ArtifactError, ResourceError, SemconvError, SettingError
from semconv.llm.filters import DEAD, Allowed, ItemFilter, filters_for
from semconv.llm.protocol import BeamModel, Extended
from semconv.llm.trie import Children, Trie

Scoring = Literal["full", "legal"]

FLOOR = -1e30
"""Stands for a log-probability of minus infinity, so that an impossible item still ranks, last."""


class Found(NamedTuple):
    """Best items first: ``items`` int32 (B, k), `NO_ITEM` past the last; ``scores`` float32 (B, k), -inf there.

    ``prefixes`` float32 (B, k, L): the score of an item's first code, of its first two, and so on; of all its codes it
    is the item's own score, but for what the model says of whole items. Any number past the last item.
    """

    items: Int32
    scores: npt.NDArray[np.float32]
    prefixes: npt.NDArray[np.float32]


class _Beams(NamedTuple):
    """The live beams: node, score, the beam each continues, and whether there is one at all; all (B, K)."""

    nodes_BK: torch.Tensor
    scores_BK: torch.Tensor
    parents_BK: torch.Tensor
    live_BK: torch.Tensor


def beam_search(
    model: BeamModel,
    trie: Trie,
    histories: Sequence[Int32],
    k: int,
    beams: int,
    scoring: Scoring = "full",
    *,
    exclude: Sequence[Int32] | None = None,
    allow: Allowed | None = None,
) -> Found:
    """The best ``k`` items for each of B histories, searched with ``beams`` >= k beams.

    ``exclude``: per history, item indices that must not appear. ``allow``: the items that may, as bool (N) for all,
    bool (B, N), or lists per history. A batch that does not fit in memory is halved; the beam never is.

    Raises `SettingError` for k or beams out of range, `ArtifactError` when trie and model have different levels or
    codes, `InputError` for filters that do not fit, `SemconvError` when the model answers NaN, `ResourceError` when
    even one history does not fit.
    """
    if k < 1 or beams < k:
        raise SettingError(f"A search for {k} items with {beams} beams", "Ask for at least 1 item, and beams >= items")
    if scoring not in get_args(Scoring):
        raise SettingError(f"There is no scoring '{scoring}'", f"Choose {' or '.join(get_args(Scoring))}")
    _require_same_codes(model, trie)
    batch = len(histories)
    if batch == 0:
        return _nothing(0, k, trie.levels)
    try:
        width = min(beams, len(trie.items))
        return _search(model, trie, histories, k, width, scoring, ItemFilter(trie, batch, exclude, allow))
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
    if batch == 1:
        raise ResourceError(
            f"One history with {beams} beams does not fit in memory", "Lower the number of beams, or free memory"
        )
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    found = []
    for rows in (range(batch // 2), range(batch // 2, batch)):
        part = [histories[row] for row in rows]
        excluded, allowed = filters_for(exclude, allow, rows)
        found.append(beam_search(model, trie, part, k, beams, scoring, exclude=excluded, allow=allowed))
    return Found(*(np.concatenate(halves) for halves in zip(*found, strict=True)))


@torch.no_grad()
def _search(
    model: BeamModel,
    trie: Trie,
    histories: Sequence[Int32],
    k: int,
    width: int,
    scoring: Scoring,
    legal: ItemFilter,
) -> Found:
    batch = len(histories)
    state, scores_XC = model.start(histories, width, normalised=scoring == "full")
    root = torch.zeros((batch, 1), dtype=torch.long, device=trie.device)
    beams = _Beams(root, root.float(), root, root == 0)
    asked_BK = beams.live_BK
    prefixes_BKL = beams.scores_BK.new_zeros((batch, 1, trie.levels))
    broken: list[torch.Tensor] = []
    for level in range(trie.levels):
        children = trie.children(level, beams.nodes_BK, beams.live_BK)
        if not len(children.node_T):
            return _nothing(batch, k, trie.levels)
        if level:
            codes_BK = trie.codes[level - 1][beams.nodes_BK]
            asked_BK = beams.live_BK if scoring == "full" else beams.live_BK & (children.counts_BK > 1)
            extended = Extended(beams.parents_BK, codes_BK, asked_BK)
            state, scores_XC = model.step(state, level, extended, normalised=scoring == "full")
        gains_T = _gains(scores_XC, asked_BK, children, trie.codes[level][children.node_T])
        broken.append((~(gains_T < torch.inf)).any())  # NaN compares false
        gains_T = gains_T.clamp_(min=FLOOR)
        if scoring == "legal":
            gains_T = _renormalised(gains_T, children.beam_T, beams.nodes_BK.numel())
        beams = _best(trie, level, beams, children, gains_T, legal, width)
        prefixes_BKL = _of_parents(prefixes_BKL, beams)
        prefixes_BKL[:, :, level] = beams.scores_BK
    leaves = trie.children(trie.levels, beams.nodes_BK, beams.live_BK)
    rows_T = leaves.beam_T // beams.nodes_BK.shape[1]
    whole_T = model.finish(state, trie.items[leaves.node_T].long(), rows_T)
    if whole_T is not None:
        broken.append((~(whole_T < torch.inf)).any())
        whole_T = whole_T.clamp_(min=FLOOR)
    _require_numbers(broken)
    beams = _best(trie, trie.levels, beams, leaves, whole_T, legal, k)
    found = _nothing(batch, k, trie.levels)
    items_BK = torch.where(beams.live_BK, trie.items[beams.nodes_BK], NO_ITEM)
    scores_BK = torch.where(beams.live_BK, beams.scores_BK, -torch.inf)
    found.items[:, : items_BK.shape[1]] = items_BK.cpu().numpy()
    found.scores[:, : items_BK.shape[1]] = scores_BK.cpu().numpy()
    found.prefixes[:, : items_BK.shape[1]] = _of_parents(prefixes_BKL, beams).cpu().numpy()
    return found


def _of_parents(values_BKL: torch.Tensor, beams: _Beams) -> torch.Tensor:
    """What the beams that these continue have, (B, K, L)."""
    return values_BKL.gather(1, beams.parents_BK[:, :, None].expand(-1, -1, values_BKL.shape[2]))


def _gains(scores_XC: torch.Tensor, asked_BK: torch.Tensor, children: Children, codes_T: torch.Tensor) -> torch.Tensor:
    """What the model says of every child, (T), by the row of its beam.

    The only child of a beam that was not asked about gets some finite number; renormalised it is 0 whatever it was.
    """
    if not len(scores_XC):
        return scores_XC.new_zeros(len(codes_T))
    rows = (asked_BK.flatten().cumsum(0) - 1).clamp_(min=0) * scores_XC.shape[1]
    return scores_XC.flatten()[rows[children.beam_T].add_(codes_T)]


def _renormalised(gains_T: torch.Tensor, beam_T: torch.Tensor, beams: int) -> torch.Tensor:
    """Log-probabilities over each beam's children: the gains less their log-sum-exp."""
    peaks = gains_T.new_full((beams,), -torch.inf).scatter_reduce_(0, beam_T, gains_T, "amax")
    centred_T = gains_T - peaks[beam_T]
    masses = torch.zeros_like(peaks).index_add_(0, beam_T, centred_T.exp())
    return centred_T - masses.log()[beam_T]


def _best(
    trie: Trie,
    level: int,
    beams: _Beams,
    children: Children,
    gains_T: torch.Tensor | None,
    legal: ItemFilter,
    width: int,
) -> _Beams:
    """The ``width`` best legal children of each user, best first, equal scores by node."""
    batch, previous = beams.nodes_BK.shape
    scores_T = beams.scores_BK.flatten()[children.beam_T]
    if gains_T is not None:
        scores_T = scores_T.add_(gains_T)
    keys_T = _sort_keys(scores_T, children.node_T)
    legal.strike(level, keys_T, children)

    first_B = children.starts_BK[:, 0]
    ends_B = torch.cat([first_B[1:], first_B.new_tensor([len(keys_T)])])
    widest = int((ends_B - first_B).max()) if len(keys_T) else 0
    kept = min(width, widest)
    rows = torch.arange(batch, device=trie.device) * widest - first_B
    slots_T = rows.repeat_interleave(previous)[children.beam_T].add_(torch.arange(len(keys_T), device=trie.device))
    keys_BM = keys_T.new_full((batch * widest,), DEAD).index_copy_(0, slots_T, keys_T).view(batch, widest)
    keys_BK, slots_BK = keys_BM.topk(kept)
    live_BK = keys_BK > DEAD
    chosen_BK = torch.where(live_BK, slots_BK + first_B.unsqueeze(1), 0)
    parents_BK = children.beam_T[chosen_BK] % previous
    return _Beams(children.node_T[chosen_BK], scores_T[chosen_BK], parents_BK, live_BK)


def _sort_keys(scores_T: torch.Tensor, nodes_T: torch.Tensor) -> torch.Tensor:
    """Distinct int64 keys: higher for a higher score, and among equal scores for a lower node (below 2^32)."""
    bits = scores_T.view(torch.int32)
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (ordered.long() << 32).add_(0xFFFFFFFF).sub_(nodes_T)


def _require_same_codes(model: BeamModel, trie: Trie) -> None:
    """Raise `ArtifactError` unless the model speaks the codes of this trie's catalogue."""
    if (model.levels, model.codes) != (trie.levels, trie.codes_per_level):
        raise ArtifactError(
            f"The trie has {trie.levels} levels of {trie.codes_per_level} codes, "
            f"the model {model.levels} of {model.codes}",
            "Build the trie from the tokens that the model was trained on",
        )
    if model.catalogue is not None and model.catalogue != trie.catalogue:
        raise ArtifactError(
            "The trie was built from other codes than the model was given",
            "Build the trie from the tokens that the model was trained on",
        )


def _require_numbers(broken: list[torch.Tensor]) -> None:
    """Raise when the model answered what is no log-probability; one flag a level."""
    flags = torch.stack(broken).tolist()
    if any(flags):
        raise SemconvError(
            f"The model answered infinity or NaN at level {flags.index(True) + 1} of {len(flags)}",
            "Check the model's weights",
        )


def _nothing(batch: int, k: int, levels: int) -> Found:
    items, scores = np.full((batch, k), NO_ITEM, np.int32), np.full((batch, k), -np.inf, np.float32)
    return Found(items, scores, np.zeros((batch, k, levels), np.float32))


def _is_out_of_memory(error: Exception) -> bool:
    text = str(error)
    known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return known or "not enough memory" in text or "can't allocate memory" in text
