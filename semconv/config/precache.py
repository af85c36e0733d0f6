"""The top K of every user."""

from __future__ import annotations

from semconv.config.leaves import Positive, Section, operational, setting


class PrecacheSettings(Section):
    """The top K of every user, computed ahead."""

    k: Positive = setting(50, "items kept per user")
    filter_seen: bool = setting(True, "leave out items the user already has")
    shards: Positive = setting(4, "files the snapshot is split into by a hash of the user id")
    batch_size: Positive = operational(256, "users per batch")
    workers: Positive = operational(1, "scoring processes")
