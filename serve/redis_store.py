"""The event store in Redis, for services of several nodes.

Under ``{semconv}:`` lie ``id`` and ``seq``; ``events`` and ``marks`` (changes of items, erasures), sorted sets of
entries by number; ``user:DIGEST``, the numbers of a user's events; ``items`` and ``erased``, the numbers of the entries
that a newer one replaces; ``key:DIGEST`` and ``fresh:DIGEST``, which expire; ``void``, the entry that outdates fresh
lists from before it.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from semconv.corpus.later import erased_digest
from serve import redis_scripts as scripts
from serve.questions import Accepted, Change, Event, ItemChange
from serve.redis_checks import require_durable, rewrite_files
from serve.store import PAGE, StoreError, events_digest, item_from_json, item_to_json, key_digest, key_reused, merged

KEY_S = 7 * 24 * 3600
"""Seconds for which an idempotency key is remembered."""
FRESH_S = 24 * 3600
"""Seconds for which a fresh list is kept."""
TIMEOUT_S = 1.0
"""Longest wait for one reply."""
LISTEN_S = 0.5
"""Longest time until news is noticed whose announcement was lost."""


class RedisStore:
    """`serve.store.EventStore` in the Redis database that ``url`` names."""

    def __init__(self, url: str) -> None:
        """Connect; raises `StoreError` if the server cannot be reached or would not keep what it acknowledges."""
        self._where = f"Redis at {_place(url)}"
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._failure: StoreError | None = None
        self._position = 0
        self._heard: list[Callable[[], None]] = []
        with self._failing():
            # a write that is sent again because its reply was lost might be done twice
            self._redis = redis.Redis.from_url(
                url, retry=Retry(NoBackoff(), 0), socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
            )
            require_durable(self._redis, self._where)
            self._redis.set(_name("id"), secrets.token_hex(16), nx=True)
            self.id: str = self._redis.get(_name("id")).decode()
            self._advance(self._last())
        run = self._redis.register_script
        self._add, self._put, self._erase = run(scripts.ADD_EVENTS), run(scripts.PUT_ITEM), run(scripts.ERASE)
        self._keep, self._find = run(scripts.PUT_FRESH), run(scripts.GET_FRESH)
        self._remove = run(scripts.COMPACT)
        self._listener = threading.Thread(target=self._listen, name="event-log", daemon=True)
        self._listener.start()

    def position(self) -> int:
        """`EventStore.position`: what the listening thread was told last."""
        if self._failure is not None:
            raise self._failure
        return self._position

    def announce(self, heard: Callable[[], None]) -> bool:
        """`EventStore.announce`: by the listening thread, and by those that add entries here."""
        self._heard.append(heard)
        return True

    def changes(self, after: int, limit: int = PAGE, events_after: int = 0) -> list[Change]:
        """`EventStore.changes`."""
        with self._failing():
            both = self._redis.pipeline(transaction=True)
            both.zrangebyscore(_name("events"), f"({max(after, events_after)}", "+inf", 0, limit)
            both.zrangebyscore(_name("marks"), f"({after}", "+inf", 0, limit)
            events, marks = both.execute()
        found = [_event_of(entry) for entry in events] + [_mark_of(entry) for entry in marks]
        return sorted(found, key=lambda change: change.seq)[:limit]

    def add_events(self, events: Sequence[Event], key: str | None = None) -> Accepted:
        """`EventStore.add_events`."""
        users = {user_id: self._of_user("user", user_id) for user_id in {e.user_id for e in events}}
        known = "" if key is None else key_digest(self.id, key).hex()
        body = "" if key is None else events_digest(self.id, events).hex()
        keys = [_name("id"), _name("seq"), _name("events"), _name(f"key:{known}")]
        with self._failing():
            outcome, seq = self._add(
                [*keys, *(users[e.user_id] for e in events)],
                [self.id, body, KEY_S, *(json.dumps([e.user_id, e.item_id, e.time]) for e in events)],
            )
        if outcome == 2:
            raise key_reused()
        self._added(seq)
        return Accepted(0 if outcome else len(events), bool(outcome), seq)

    def put_item(self, change: ItemChange) -> int:
        """`EventStore.put_item`."""
        keys = [_name(name) for name in ("id", "seq", "marks", "items", "void")]
        seq = 0
        with self._failing():
            while not seq:  # until nobody has changed the item between the reading and the writing
                number = (self._redis.hget(_name("items"), change.item_id) or b"").decode()
                before = self._redis.zrangebyscore(_name("marks"), number, number) if number else []
                whole = merged(_mark_of(before[0]).item if before else None, change)
                seq = self._put(keys, [self.id, change.item_id, number, item_to_json(whole)])
        self._added(seq)
        return int(seq)

    def erase(self, user_id: str) -> int:
        """`EventStore.erase`; returns when Redis has written its files without the user's events."""
        names = [_name(name) for name in ("id", "seq", "marks", "events")]
        own = [self._of_user("user", user_id), _name("erased"), self._of_user("fresh", user_id)]
        with self._failing():
            seq, count = self._erase([*names, *own], [self.id, erased_digest(self.id, user_id).hex()])
            self._added(seq)
            rewrite_files(self._redis)
        return int(count)

    def events_of(self, user_id: str) -> list[Event]:
        """`EventStore.events_of`."""
        with self._failing():
            each = self._redis.pipeline(transaction=False)
            for number in self._redis.lrange(self._of_user("user", user_id), 0, -1):
                each.zrangebyscore(_name("events"), number, number)
            found = [_event_of(entry).event for entries in each.execute() for entry in entries]
        return [event for event in found if event is not None]

    def put_fresh(self, user_id: str, snapshot: str, position: int, answer: bytes) -> None:
        """`EventStore.put_fresh`."""
        with self._failing():
            digest = erased_digest(self.id, user_id).hex()
            self._keep(self._fresh_keys(user_id), [digest, position, snapshot, answer, FRESH_S])

    def get_fresh(self, user_id: str, snapshot: str) -> bytes | None:
        """`EventStore.get_fresh`."""
        with self._failing():
            found = self._find(self._fresh_keys(user_id), [erased_digest(self.id, user_id).hex(), snapshot])
        return None if found is None else bytes(found)

    def compact(self, through: int) -> int:
        """`EventStore.compact`: some events at a time, and others come between."""
        count = 0
        keys = [_name(name) for name in ("id", "seq", "events", "void")]
        with self._failing():
            while entries := self._redis.zrangebyscore(_name("events"), "-inf", through, 0, 1000):
                events = [_event_of(entry) for entry in entries]
                users = [self._of_user("user", e.event.user_id) for e in events if e.event is not None]
                count += self._remove([*keys, *users], [self.id, *(e.seq for e in events)])
            rewrite_files(self._redis)
        return count

    def close(self) -> None:
        """`EventStore.close`."""
        self._closing.set()
        self._listener.join()
        self._redis.close()

    def _listen(self) -> None:
        """Hear of entries that others make; after a silence, and whenever the connection was lost, ask."""
        while not self._closing.is_set():
            try:
                with self._failing(), self._redis.pubsub(ignore_subscribe_messages=True) as announced:
                    announced.subscribe(self.id)  # all databases of a server share their channels
                    while not self._closing.is_set():
                        message = announced.get_message(timeout=LISTEN_S)
                        self._advance(self._last() if message is None else int(message["data"]))
                        self._failure = None
                        self._tell()
            except StoreError as error:
                self._failure = error
                self._closing.wait(LISTEN_S)

    def _last(self) -> int:
        """Number of the last entry; refuses another log than the one that was opened."""
        found, seq = self._redis.mget(_name("id"), _name("seq"))
        if found is None or found.decode() != self.id:
            raise redis.ResponseError("the log that was opened is gone")
        return int(seq or 0)

    def _advance(self, seq: int) -> None:
        with self._lock:
            self._position = max(self._position, seq)

    def _added(self, seq: int) -> None:
        """Who asks here next finds the entry; where it cannot be read now, the listening thread tries again."""
        self._advance(seq)
        with suppress(StoreError):
            self._tell()

    def _tell(self) -> None:
        for heard in self._heard:
            heard()

    def _of_user(self, kind: str, user_id: str) -> str:
        return _name(f"{kind}:{erased_digest(self.id, user_id).hex()}")

    def _fresh_keys(self, user_id: str) -> list[str]:
        return [self._of_user("fresh", user_id), self._of_user("user", user_id), _name("erased"), _name("void")]

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Turns what Redis or the way to it refuses into `StoreError`."""
        try:
            yield
        except (redis.RedisError, OSError) as error:
            raise StoreError(f"{self._where} failed: {error}", "Look at the server, then ask again") from error


def _place(url: str) -> str:
    """Host and port, or the socket's path: what may be said of a URL that may hold a password."""
    try:
        parts = urlsplit(url)
        return ":".join(str(part) for part in (parts.hostname, parts.port) if part) or parts.path
    except ValueError as error:
        raise StoreError(f"serve.events is no URL of a Redis server: {error}", "Write redis://HOST:PORT/DB") from None


def _name(name: str) -> str:
    return f"{{semconv}}:{name}"


def _event_of(entry: bytes) -> Change:
    seq, _, said = entry.partition(b" ")
    return Change(int(seq), event=Event(*json.loads(said)))


def _mark_of(entry: bytes) -> Change:
    seq, _, said = entry.partition(b" ")
    if said[:1] == b"i":
        return Change(int(seq), item=item_from_json(said[1:]))
    return Change(int(seq), erased=bytes.fromhex(said[1:].decode()))
