"""Which variant a user sees: a stable bucket by a salted hash, the same on every replica and after every restart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from semconv.errors import SettingError

BUCKETS = 10_000
"""The finest share that can be told apart is one in so many users."""
MAIN = "main"
"""The variant of everybody whom no experiment claims: the run itself."""


def bucket_of(user_id: str, salt: str) -> int:
    """The user's bucket, 0 to 9999: the same for ever under one salt, unrelated to it under another."""
    digest = hashlib.blake2b(user_id.encode("utf-8", "surrogatepass"), digest_size=8, key=_key(salt)).digest()
    return int.from_bytes(digest, "little") % BUCKETS


def variant_of(user_id: str, salt: str, shares: Mapping[str, float]) -> str:
    """The variant that the user's bucket falls to.

    ``shares``: part of the users (0 to 1) by variant, in order; an entry for `MAIN` is passed over, since it has what
    the others leave. A variant whose share grows keeps the users that it had as long as those before it keep theirs.
    """
    bucket, end = -1, 0.0
    for name, share in shares.items():
        if name == MAIN or not share:
            continue
        if bucket < 0:
            bucket = bucket_of(user_id, salt)
        end += share
        if bucket < round(end * BUCKETS):
            return name
    return MAIN


def check_shares(shares: Mapping[str, float]) -> None:
    """Raise `SettingError` if the variants beside `MAIN` claim more than all users."""
    total = sum(share for name, share in shares.items() if name != MAIN)
    if total > 1 + 1e-9:
        raise SettingError(
            f"serve.variants claim {total:.4g} of the users together", "Lower their shares to 1 at most in all"
        )


def _key(salt: str) -> bytes:
    """A BLAKE2b key from a salt of any length."""
    return hashlib.blake2b(salt.encode(), digest_size=32).digest()
