"""Search phrases: what somebody would type to find an item, made from its title.

The words that tell most are those in the fewest titles (inverse document frequency, Sparck Jones 1972).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

LEAST, MOST = 2, 4
"""Words of a phrase."""
_WORD = re.compile(r"[^\W_]{2,}")


class Phrases:
    """Phrases of the items of a catalogue, from their titles."""

    def __init__(self, titles: Sequence[str | None]) -> None:
        self._titles = titles
        self._titles_with = Counter(word for title in titles for word in set(words_of(title)))

    def has(self) -> npt.NDArray[np.bool_]:
        """Which titles have words enough for a phrase, bool (N)."""
        return np.fromiter((len(words_of(title)) >= LEAST for title in self._titles), np.bool_, len(self._titles))

    def phrase(self, item: int, random: np.random.Generator) -> str:
        """The 2 to 4 most telling words of an item's title, lower case, as the title orders them."""
        words = words_of(self._titles[item])
        many = int(random.integers(LEAST, MOST + 1))
        chosen = sorted(range(len(words)), key=lambda place: (self._titles_with[words[place]], place))[:many]
        return " ".join(words[place] for place in sorted(chosen))


def words_of(title: str | None) -> list[str]:
    """Distinct words of a title in lower case, of two letters or digits or more, in order."""
    return list(dict.fromkeys(_WORD.findall((title or "").lower())))
