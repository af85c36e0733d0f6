"""Later events: what users did since the corpus was read, exported by a service's event store to join the histories.

    *.parquet      one row an event, in the order of acceptance, files by name: user_id string, item_id string,
                   time int64 (nanoseconds since 1970, UTC)
    events.json    store: id of the event store; seq: the last entry of its log that is accounted for here; erased: hex
                   of `erased_digest` of every user who was forgotten. Their events from before that are not here.

The order of acceptance is the order of events: clocks may be set back, a log is not.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from semconv.artifacts import Corpus
from semconv.artifacts.ragged import Int64, Ragged
from semconv.errors import InputError

EVENTS = pa.schema([("user_id", pa.string()), ("item_id", pa.string()), ("time", pa.int64())])
SAID = "events.json"
ABSORBED = "absorbed.parquet"
"""File of a corpus that took in events of exports (`semconv.corpus.absorb`): which, schema `EVENTS`."""
EXPORT = "Export them with python -m serve.events export --out DIR"


@dataclass(frozen=True)
class Later:
    """Events (schema `EVENTS`), the log they are from, how far it was read, and who was forgotten."""

    events: pa.Table
    store: str
    seq: int
    erased: frozenset[bytes] = frozenset()


@dataclass(frozen=True)
class Histories:
    """All that users did, oldest first: row u of ``items`` is that of ``user_ids[u]``.

    The users of the corpus come first, in its order, then those who joined. ``joined``: events that were appended;
    ``unknown``: events that were left out, the catalogue not having their item; ``forgotten``: users of the corpus
    who were erased.
    """

    user_ids: pa.StringArray
    items: Ragged
    joined: int = 0
    unknown: int = 0
    forgotten: int = 0


def erased_digest(store: str, user_id: str) -> bytes:
    """What is left of an erased user's id: BLAKE2b-128, keyed with the id of the event store (hexadecimal)."""
    return hashlib.blake2b(user_id.encode("utf-8", "surrogatepass"), digest_size=16, key=bytes.fromhex(store)).digest()


def write_later(
    folder: Path, events: Iterable[pa.RecordBatch], *, store: str, seq: int, erased: Iterable[bytes] = ()
) -> int:
    """Write an export into the empty ``folder``, events in the order of acceptance; returns how many there are."""
    count = 0
    for number, batch in enumerate(events):
        pq.write_table(pa.Table.from_batches([batch], EVENTS), folder / f"{number:06d}.parquet")
        count += batch.num_rows
    said = {"store": store, "seq": seq, "erased": sorted(digest.hex() for digest in erased)}
    (folder / SAID).write_text(json.dumps(said, indent=2) + "\n")
    return count


def require_later(folder: Path) -> None:
    """Raise `InputError` unless the folder is an export, so far as a glance tells."""
    if not (folder / SAID).is_file():
        raise InputError(f"{folder} holds no exported events: it has no {SAID}", EXPORT)


def read_later(folder: Path) -> Later:
    """Read an export; raises `InputError` when it is not there or not what it should be."""
    try:
        said = json.loads((folder / SAID).read_text())
        bytes.fromhex(said["store"])
        tables = [pq.read_table(file, schema=EVENTS) for file in sorted(folder.glob("*.parquet"))]
        events = pa.concat_tables([EVENTS.empty_table(), *tables])
        later = Later(events, said["store"], int(said["seq"]), frozenset(map(bytes.fromhex, said.get("erased", []))))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise InputError(f"{folder} holds no exported events that can be read: {error}", EXPORT) from None
    if events["user_id"].null_count or events["item_id"].null_count:
        raise InputError(f"{folder} has events without a user or an item", "Export them again")
    return later


def histories_of(corpus: Corpus, later: Later | None = None) -> Histories:
    """All that the users of a corpus did, and what came later.

    An erased user of the corpus is left with what was done after the erasure, and is left out where that is nothing.
    Events that the corpus took in already are not joined again.
    """
    ids = pa.array(corpus.user_ids, pa.string())
    if later is None:
        return Histories(ids, corpus.sequences)
    later = not_absorbed(corpus, later)
    erased_U = _erased(corpus.user_ids, later)
    base = corpus.sequences
    if erased_U.any():
        lengths = np.where(erased_U, 0, base.lengths)
        base = Ragged(_offsets(lengths), base.values[np.repeat(~erased_U, base.lengths)])
    items = pc.index_in(later.events["item_id"], value_set=pa.array(corpus.item_ids, pa.string()))
    known = later.events.filter(pc.is_valid(items))["user_id"].combine_chunks()
    fresh = known.filter(pc.invert(pc.is_in(known, value_set=ids))).unique()
    ids = pa.concat_arrays([ids, fresh])
    users = pc.index_in(known, value_set=ids).to_numpy()
    order = np.argsort(users, kind="stable")
    offsets = np.concatenate([base.offsets, np.full(len(fresh), base.offsets[-1])])
    values = np.insert(
        base.values, offsets[users[order] + 1], items.drop_null().combine_chunks().to_numpy().astype(np.int32)[order]
    )
    lengths = np.diff(offsets) + np.bincount(users, minlength=len(ids))
    gone = np.zeros(len(ids), bool)
    gone[: len(erased_U)] = erased_U & (lengths[: len(erased_U)] == 0)
    return Histories(
        ids.filter(pa.array(~gone)),
        Ragged(_offsets(lengths[~gone]), values),
        joined=len(known),
        unknown=later.events.num_rows - len(known),
        forgotten=int(erased_U.sum()),
    )


def not_absorbed(corpus: Corpus, later: Later) -> Later:
    """An export without the events that the corpus took in; the log may have been compacted since, or not.

    All events of erased users stay: what the corpus holds of them is not looked at.
    """
    stored = corpus.path / ABSORBED
    if not stored.exists():
        return later
    erased = {user for user, gone in zip(corpus.user_ids, _erased(corpus.user_ids, later), strict=True) if gone}
    left = Counter(map(_key, pq.read_table(stored, schema=EVENTS).to_pylist()))
    fresh = []
    for event in later.events.to_pylist():
        left[_key(event)] -= 1
        fresh.append(left[_key(event)] < 0 or event["user_id"] in erased)
    return replace(later, events=later.events.filter(pa.array(fresh, pa.bool_())))


def _key(event: dict[str, object]) -> tuple[object, ...]:
    return tuple(event[name] for name in EVENTS.names)


def _erased(user_ids: list[str], later: Later) -> npt.NDArray[np.bool_]:
    """Which users are erased, bool (U)."""
    if not later.erased:
        return np.zeros(len(user_ids), bool)
    digests = (erased_digest(later.store, user_id) in later.erased for user_id in user_ids)
    return np.fromiter(digests, bool, len(user_ids))


def _offsets(lengths: npt.NDArray[np.integer]) -> Int64:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
