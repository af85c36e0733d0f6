"""The top K of every user."""

from __future__ import annotations

from typing import Literal

from semconv.config.leaves import Positive, Section, operational, setting

MetadataField = Literal["title", "brand", "categories"]


class PrecacheSettings(Section):
    """The top K of every user, computed ahead, and what the service needs beside them."""

    k: Positive = setting(50, "items that a request can ask for, at most")
    spare: int = setting(
        0, "items kept per user beyond k, so that lists stay long when a request leaves some out", ge=0
    )
    filter_seen: bool = setting(True, "leave out items the user already has")
    history: Positive | None = setting(
        None,
        "most recent items of each user's history kept beside the list; none: all. With fewer the service does not "
        "know the earlier ones, and may recommend them once the user has done something more",
    )
    similar: Positive = setting(20, "neighbours kept per item")
    metadata: tuple[MetadataField, ...] = setting(
        ("title", "brand", "categories"), "what the snapshot says of each item; filters need brand and categories"
    )
    shards: Positive = setting(4, "files the snapshot is split into by a hash of the user id")
    events: str | None = operational(
        None, "folder of events that the service exported (python -m serve.events); they join the histories"
    )
    since: str | None = operational(
        None, "snapshot (a folder, or a store with #VERSION) whose unchanged answers are carried over"
    )
    store: str | None = operational(
        None, "folder or URI (s3://bucket/path) of the snapshot store that a finished snapshot is published to"
    )
    keep: Positive = operational(3, "versions that the store keeps")
    batch_size: Positive = operational(256, "users per batch")
    workers: Positive = operational(1, "scoring processes")

    @property
    def kept(self) -> int:
        """Items kept per user."""
        return self.k + self.spare
