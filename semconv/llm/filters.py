"""Which items a user may be recommended, as masks over the trie: a node without a legal item below it is dead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from semconv.artifacts.ragged import Int32, Ragged
from semconv.errors import InputError
from semconv.llm.trie import Children, Trie

Allowed = npt.NDArray[np.bool_] | Sequence[Int32]
"""Items allowed: bool (N) for all users, bool (B, N), or one list of item indices per user."""

DEAD = torch.iinfo(torch.int64).min
"""The sort key of a candidate that must not be chosen."""


@dataclass(frozen=True)
class _Dead:
    """Pairs of user and node, one row each, and the node's parent: int64 (E)."""

    users: torch.Tensor
    nodes: torch.Tensor
    parents: torch.Tensor


class ItemFilter:
    """The legal items of B users. Level L stands for the items themselves, as in `Trie`.

    Lists of exclusions cost a search among the live beams for each excluded item, a mask for all users one look-up
    a candidate, sets allowed user by user one binary search a candidate; none depends on the catalogue's size
    but in the making.
    """

    def __init__(self, trie: Trie, users: int, exclude: Sequence[Int32] | None, allow: Allowed | None) -> None:
        """Raises `InputError` when a list or mask does not fit the users or the catalogue."""
        self._trie = trie
        self._shared: torch.Tensor | None = None
        self._alive: list[torch.Tensor] | None = None
        self._dead: list[_Dead] = []
        self._legal: list[torch.Tensor] | None = None
        excluded = _keys(trie, exclude, users, "exclude") if exclude is not None else None
        if allow is None:
            pass
        elif isinstance(allow, np.ndarray) and allow.ndim == 1:
            self._shared = _mask(allow, (trie.n_items,), trie)
            running = torch.cat([torch.zeros(1, dtype=torch.long, device=trie.device), self._shared.cumsum(0)])
            self._alive = []
            for level in range(trie.levels):
                starts = _starts(trie, level)
                self._alive.append(running[starts[1:]] - running[starts[:-1]])
            self._alive.append(self._shared.long())
            if excluded is not None:
                excluded = excluded[self._shared[excluded % len(trie.items)]]
        else:
            self._legal = self._legal_nodes(_allowed_keys(trie, allow, users), excluded)
            excluded = None
        if excluded is not None and len(excluded):
            self._dead = self._dead_nodes(excluded)

    def strike(self, level: int, keys_T: torch.Tensor, children: Children) -> None:
        """Set the sort keys int64 (T) of the candidates without a legal item to `DEAD`, in place."""
        if self._alive is not None:
            keys_T[self._alive[level][children.node_T] == 0] = DEAD
        if self._dead:
            keys_T[self._dead_candidates(level, children)] = DEAD
        if self._legal is not None:
            users_T = children.beam_T.div(children.parents_BK.shape[1], rounding_mode="floor")
            wanted_T = users_T * self._trie.nodes(level) + children.node_T
            keys_T[~_contains(self._legal[level], wanted_T)] = DEAD

    def _dead_candidates(self, level: int, children: Children) -> torch.Tensor:
        """Which of the candidates are dead, as flat indices: the dead nodes' parents are sought among the beams."""
        dead, above = self._dead[level], self._trie.nodes(level - 1) if level else 1
        users = torch.arange(len(children.parents_BK), device=self._trie.device).unsqueeze(1)
        beams = torch.where(children.live_BK, users * above + children.parents_BK, -1).flatten()
        beams, order = beams.sort()
        wanted = dead.users * above + dead.parents
        found = torch.searchsorted(beams, wanted).clamp_(max=len(beams) - 1)
        hit = beams[found] == wanted
        starts = children.starts_BK.flatten()[order[found[hit]]]
        return starts + dead.nodes[hit] - self._trie.offsets[level][dead.parents[hit]]

    def _dead_nodes(self, excluded: torch.Tensor) -> list[_Dead]:
        """By level, the nodes whose every otherwise legal item is excluded; ``excluded`` are keys, see `_keys`."""
        n = len(self._trie.items)
        users, places = excluded.div(n, rounding_mode="floor"), excluded % n
        dead, parents = [], torch.zeros_like(places)
        for level in range(self._trie.levels):
            nodes = self._trie.paths[level][places].long()
            total = self._trie.counts[level] if self._alive is None else self._alive[level]
            size = self._trie.nodes(level)
            pairs, member, missing = torch.unique(users * size + nodes, return_inverse=True, return_counts=True)
            above = torch.zeros_like(pairs).index_copy_(0, member, parents)
            gone = missing == total[pairs % size]
            pairs, above = pairs[gone], above[gone]
            dead.append(_Dead(pairs.div(size, rounding_mode="floor"), pairs % size, above))
            parents = nodes
        return [*dead, _Dead(users, places, parents)]

    def _legal_nodes(self, allowed: torch.Tensor, excluded: torch.Tensor | None) -> list[torch.Tensor]:
        """By level, user * n_l + node of every node with a legal item, sorted; arguments are keys, see `_keys`."""
        if excluded is not None:
            allowed = allowed[~_contains(excluded, allowed)]
        n = len(self._trie.items)
        users, places = allowed.div(n, rounding_mode="floor"), allowed % n
        nodes = [
            users * self._trie.nodes(level) + self._trie.paths[level][places] for level in range(self._trie.levels)
        ]
        return [*(torch.unique_consecutive(keys) for keys in nodes), allowed]


def filters_for(
    exclude: Sequence[Int32] | None, allow: Allowed | None, users: range
) -> tuple[Sequence[Int32] | None, Allowed | None]:
    """The part of ``exclude`` and of ``allow`` that concerns these users."""
    excluded = None if exclude is None else [exclude[user] for user in users]
    if isinstance(allow, np.ndarray):
        return excluded, allow if allow.ndim == 1 else allow[users.start : users.stop]
    return excluded, None if allow is None else [allow[user] for user in users]


def _starts(trie: Trie, level: int) -> torch.Tensor:
    """The place of the first item under each node of a level, and the number of items: int64 (n_l + 1)."""
    return torch.cat([torch.zeros(1, dtype=torch.long, device=trie.device), trie.counts[level].cumsum(0)])


def _contains(sorted_keys: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Whether each wanted key is among the sorted ones: bool, of the shape of ``wanted``."""
    if not len(sorted_keys):
        return torch.zeros_like(wanted, dtype=torch.bool)
    found = torch.searchsorted(sorted_keys, wanted).clamp_(max=len(sorted_keys) - 1)
    return sorted_keys[found] == wanted


def _keys(trie: Trie, lists: Sequence[Int32], users: int, name: str) -> torch.Tensor:
    """user * n + place for every listed item that the trie holds, sorted and distinct: int64."""
    if len(lists) != users:
        raise InputError(f"{name} has {len(lists)} lists for {users} histories", f"Give one list of {name} a history")
    ragged = Ragged.of(lists)
    items = torch.from_numpy(ragged.values.astype(np.int64)).to(trie.device)
    if len(items) and (int(items.min()) < 0 or int(items.max()) >= trie.n_items):
        raise InputError(f"{name} names items outside the catalogue of {trie.n_items}", "Give item indices")
    owners = torch.from_numpy(np.repeat(np.arange(users), ragged.lengths)).to(trie.device)
    places = trie.places[items]
    keys: torch.Tensor = torch.unique((owners * len(trie.items) + places)[places >= 0])
    return keys


def _allowed_keys(trie: Trie, allow: Allowed, users: int) -> torch.Tensor:
    if not isinstance(allow, np.ndarray):
        return _keys(trie, allow, users, "allow")
    return _mask(allow, (users, trie.n_items), trie).flatten().nonzero().squeeze(1)


def _mask(mask: npt.NDArray[np.bool_], shape: tuple[int, ...], trie: Trie) -> torch.Tensor:
    """The mask, its last axis in the order of places."""
    if mask.dtype != np.bool_ or mask.shape != shape:
        raise InputError(f"allow is {mask.dtype} {mask.shape}, not bool {shape}", "Give one flag an item")
    return torch.from_numpy(mask).to(trie.device)[..., trie.items]
