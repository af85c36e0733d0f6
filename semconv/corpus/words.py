"""The synthetic shop's words: brands, product lines and the ordered steps of a routine."""

from __future__ import annotations

_STEPS = (
    ("Skin Care", ("cleanser", "toner", "serum", "moisturizer", "eye cream", "sunscreen")),
    ("Coffee", ("beans", "grinder", "filter papers", "brewer", "mug", "descaler")),
    ("Running", ("shoes", "socks", "shorts", "singlet", "watch", "hydration belt")),
    ("Painting", ("sketchbook", "easel", "brushes", "acrylic set", "canvas", "varnish")),
    ("Camping", ("tent", "sleeping bag", "sleeping mat", "stove", "cook pot", "lantern")),
    ("Baking", ("flour", "yeast", "mixing bowl", "proofing basket", "loaf tin", "bread knife")),
    ("Hair Care", ("shampoo", "conditioner", "hair mask", "leave-in spray", "styling cream", "brush")),
    ("Gardening", ("seeds", "potting soil", "planter", "trowel", "fertilizer", "watering can")),
    ("Cycling", ("helmet", "gloves", "front light", "bottle cage", "saddle bag", "track pump")),
    ("Knitting", ("yarn", "needles", "stitch markers", "pattern book", "row counter", "blocking mats")),
    ("Nails", ("base coat", "polish", "top coat", "nail file", "cuticle oil", "remover")),
    ("Fishing", ("rod", "reel", "line", "lures", "tackle box", "landing net")),
)
_ONSETS = ("b", "br", "c", "d", "f", "g", "gl", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t", "v", "w", "z")
_VOWELS = ("a", "e", "i", "o", "u", "ae", "ia", "eo")
_SYLLABLES = tuple(onset + vowel for onset in _ONSETS for vowel in _VOWELS)


def coined(number: int) -> str:
    """A word of its own for every number, of two syllables or more."""
    base = len(_SYLLABLES)
    parts = [_SYLLABLES[(number * 7 + 3) % base], _SYLLABLES[(number // base * 11 + number) % base]]
    number //= base * base
    while number:
        parts.append(_SYLLABLES[number % base])
        number //= base
    return "".join(parts).capitalize()


def brand_name(brand: int) -> str:
    """The brand as a shop's database has it: every third carries an escaped ampersand."""
    word = coined(1000 + brand)
    return f"{word} &amp; {coined(5000 + brand)}" if brand % 3 == 0 else word


def category_words(category: int, brand: int) -> tuple[str, list[str]]:
    """The brand, and the names of the category from wide to narrow."""
    name = _STEPS[category % len(_STEPS)][0]
    group = category // len(_STEPS)
    return brand_name(brand), ["Shop", name if group == 0 else f"{coined(9000 + group)} {name}"]


def title_of(category: int, line: int, step: int, brand: int, *, markup: bool) -> str:
    """A title by one of three templates, chosen by the line; ``markup`` writes it with tags and entities."""
    noun = _STEPS[category % len(_STEPS)][1][step]
    name, word = brand_name(brand), coined(20_000 + line)
    templates = (f"{name} {word} {noun}", f"{word} {noun} by {name}", f"{word} {noun}, {name}")
    title = templates[line % len(templates)]
    return f"<b>{title}</b>&nbsp;&#40;new&#41;" if markup else title


def describe(title: str) -> str:
    """A line of sales talk in markup."""
    return f"<p>{title}: made to go with the rest of its line.</p><br/>Ships&nbsp;today."
