"""Whether items under a prefix are of one kind, by the catalogue's own categories.

An item's kind is the rarest category it has: of "Beauty, Makeup, Nail Polish" the last. Purity is the chance that
another item of the same prefix is of the same kind. It asks about pairs because the share of the commonest kind, the
usual definition, rises to 1 by itself as groups shrink to single items.

Legend: N items, n of them with a category, L levels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from semconv.artifacts.ragged import Int32
from semconv.tokens.prefixes import Int64, prefix_ids

NO_KIND = -1


@dataclass(frozen=True)
class Purity:
    """``chance`` that another item of the same prefix is of the same kind, mean over items that have such another;
    None where none has; ``asked``: the share of items that do.
    """

    chance: float | None
    asked: float


def kinds(categories: Sequence[Sequence[str | None] | None]) -> Int64:
    """Number of each item's rarest category, int64 (N), equally rare ones by name; `NO_KIND` where there is none."""
    named = [sorted({name.strip() for name in names or () if name and name.strip()}) for names in categories]
    common = Counter(name for names in named for name in names)
    numbers = {name: number for number, name in enumerate(sorted(common))}
    return np.asarray(
        [numbers[min(names, key=lambda name: (common[name], name))] if names else NO_KIND for names in named], np.int64
    )


def purity(codes_NL: Int32, kinds_N: Int64) -> list[Purity] | None:
    """Purity by prefixes of 0, 1, .. L codes, the first being that of the whole catalogue; None without categories."""
    has_n = kinds_N != NO_KIND
    if not has_n.any():
        return None
    kinds_n = kinds_N[has_n]
    found: list[Purity] = []
    for length in range(codes_NL.shape[1] + 1):
        group_n = prefix_ids(codes_NL[has_n], length)
        pair_n = prefix_ids(np.stack([group_n, kinds_n], axis=1), 2)
        others_n = np.bincount(group_n)[group_n] - 1
        same_n = np.bincount(pair_n)[pair_n] - 1
        asked_n = others_n > 0
        chance = float((same_n[asked_n] / others_n[asked_n]).mean()) if asked_n.any() else None
        found.append(Purity(chance, float(asked_n.mean())))
    return found
