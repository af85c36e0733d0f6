"""What stands in a request's path and query string, read strictly: nothing unknown, nothing twice, nothing too long."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote_to_bytes

from semconv.config import ServeSettings
from serve.http import Call, ProblemError
from serve.questions import Wanted

DEFAULT_K = 10
DEFAULT_LIMIT, MAX_LIMIT = 20, 100
"""Users, items or neighbours in one listing."""
MAX_QUERY_BYTES = 12_288
"""A request's head has 15 KB at HAProxy, which answers longer ones by itself."""
_NOT_ENCODED = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Parameters:
    """Reads them, within the service's limits.

    Raises `ProblemError`: 400 for what cannot be read, 422 for what may not be. ``most``: how many items a request may
    ask for now. ``is_item`` says whether a text is an item's id: an id may hold a comma.
    """

    def __init__(self, limits: ServeSettings, most: Callable[[], int], is_item: Callable[[str], bool]) -> None:
        self._limits = limits
        self._most = most
        self._is_item = is_item

    def identifier(self, call: Call) -> str:
        """The id in the path."""
        segment = call.segment
        if b"%" in segment:
            if _NOT_ENCODED.search(segment):
                raise ProblemError(400, "malformed-path", "The path is not percent-encoded", "Write % itself as %25.")
            segment = unquote_to_bytes(segment)
        try:
            text = segment.decode()
        except UnicodeDecodeError:
            raise ProblemError(400, "malformed-path", "The path is not UTF-8", "Percent-encode UTF-8.") from None
        self.check_id(text, "the id in the path")
        return text

    def wanted(self, query: bytes) -> Wanted:
        """What is asked of a recommendation."""
        if not query:
            return Wanted(self.default_k)
        if query.startswith(b"k=") and query[2:].isdigit() and len(query) < 12:
            return Wanted(self.check_k(int(query[2:])))
        fields = self._fields(query, single=("k", "category", "brand", "wish"), repeated="exclude")
        return Wanted(
            self.check_k(_number("k", *fields["k"])) if "k" in fields else self.default_k,
            self._excluded(fields.get("exclude", [])),
            self._words(fields, "category").strip() or None,
            self._words(fields, "brand").strip() or None,
            self._words(fields, "wish").strip(),
        )

    def reasons(self, query: bytes) -> tuple[list[str], str]:
        """The items that reasons are asked for, and the wish."""
        fields = self._fields(query, single=("wish",), repeated="item")
        items = fields.get("item", [])
        if not 1 <= len(items) <= self._most():
            raise out_of_range("item", f"Name from 1 to {self._most()} items as item=ID.")
        for item in items:
            self.check_id(item, "item")
        return items, self._words(fields, "wish").strip()

    def listing(self, query: bytes, words: str) -> tuple[str, int]:
        """The words (a parameter of this name) that a listing is asked for, and how many entries."""
        fields = self._fields(query, single=(words, "limit"))
        return self._words(fields, words), self._count(fields, "limit", DEFAULT_LIMIT)

    def count(self, query: bytes) -> int:
        """``k`` of a listing of neighbours."""
        return self._count(self._fields(query, single=("k",)), "k", DEFAULT_K)

    def nothing(self, query: bytes) -> None:
        """Refuse any parameter."""
        self._fields(query, single=())

    @property
    def default_k(self) -> int:
        """Items in an answer to a request that does not say."""
        return min(DEFAULT_K, self._most())

    def check_k(self, k: int) -> int:
        """``k`` if that many may be asked for."""
        if 1 <= k <= self._most():
            return k
        raise out_of_range("k", f"k is a whole number from 1 to {self._most()}.")

    def check_id(self, text: str, where: str) -> None:
        """Refuse what cannot be an id."""
        if not text or len(text) > self._limits.max_id_length or "\0" in text:
            longest = self._limits.max_id_length
            raise ProblemError(
                422,
                "invalid-id",
                "This is no id",
                f"{where}: an id has from 1 to {longest} characters, none of them NUL.",
            )

    def _excluded(self, values: list[str]) -> frozenset[str]:
        found: list[str] = []
        for value in values:
            found += [value] if "," not in value or self._is_item(value) else value.split(",")
        if len(found) > self._limits.max_exclude:
            raise out_of_range("exclude", f"At most {self._limits.max_exclude} items can be left out.")
        for item in found:
            self.check_id(item, "exclude")
        return frozenset(found)

    def _words(self, fields: dict[str, list[str]], name: str) -> str:
        text = fields.get(name, [""])[0]
        if len(text) > self._limits.max_wish or "\0" in text:
            raise out_of_range(name, f"{name} has at most {self._limits.max_wish} characters, none of them NUL.")
        return text

    def _count(self, fields: dict[str, list[str]], name: str, default: int) -> int:
        if name not in fields:
            return default
        number = _number(name, *fields[name])
        if not 1 <= number <= MAX_LIMIT:
            raise out_of_range(name, f"{name} is a whole number from 1 to {MAX_LIMIT}.")
        return number

    def _fields(self, query: bytes, single: tuple[str, ...], repeated: str = "") -> dict[str, list[str]]:
        if not query:
            return {}
        if len(query) > MAX_QUERY_BYTES:
            raise ProblemError(414, "query-too-long", "The query is too long", f"At most {MAX_QUERY_BYTES} bytes.")
        most = len(single) + self._limits.max_exclude
        try:
            pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=most)
        except ValueError:
            raise ProblemError(
                400,
                "malformed-query",
                "The query cannot be read",
                f"Give at most {most} NAME=VALUE, percent-encoded UTF-8.",
            ) from None
        fields: dict[str, list[str]] = {}
        for name, value in pairs:
            if name not in single and name != repeated:
                known = ", ".join([*single, *[repeated] * bool(repeated)])
                raise ProblemError(
                    400, "unknown-parameter", "The query has an unknown parameter", f"Known here: {known or 'none'}."
                )
            if name in fields and name != repeated:
                raise ProblemError(400, "repeated-parameter", "A parameter is repeated", f"Give {name} once.")
            fields.setdefault(name, []).append(value)
        return fields


def out_of_range(name: str, detail: str) -> ProblemError:
    """A parameter that can be read and may not have this value."""
    return ProblemError(422, "out-of-range", f"{name} is out of range", detail)


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise out_of_range(name, f"{name} is a whole number.")
    return int(text)
