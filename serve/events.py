"""The event log, for the next precache and out of its way.

python -m serve.events export --config configs/demo.yaml --out DIR       # then pipelines.precache --precache.events DIR
python -m serve.events compact --config configs/demo.yaml --through SEQ  # once the corpus itself holds those events
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from semconv.artifacts.publish import staging
from semconv.cli import load_settings
from semconv.command import CommandParser, status_of
from semconv.corpus.later import EVENTS, SAID, write_later
from semconv.errors import InputError, SettingError
from serve.args import Args
from serve.questions import Change
from serve.store import FILE, PAGE, EventStore, open_store

PROGRAM = "serve.events"


def export(store: EventStore, out: Path) -> tuple[int, int]:
    """Write what the log holds now as the folder ``out``, in place of an earlier export.

    Gives how many events it holds, and the number of the last entry that is accounted for. Raises `InputError` where
    something else is there.
    """
    if out.exists() and not (out / SAID).is_file():
        raise InputError(f"{out} is there and is no export of events", "Choose another --out")
    through = store.position()
    erased = [change.erased for change in _entries(store, through, events_after=through) if change.erased is not None]
    with staging(out) as folder:
        count = write_later(folder, _batches(store, through), store=store.id, seq=through, erased=erased)
    return count, through


def run(arguments: Sequence[str]) -> str:
    """Do what the arguments say; what there is to report. Raises `SemconvError`."""
    parser = CommandParser(
        prog=f"python -m {PROGRAM}",
        allow_abbrev=False,
        description="The event log of the service, whose settings follow as ever (--config FILE, --serve.events URL).",
    )
    parser.add_argument("action", choices=("export", "compact"))
    parser.add_argument("--out", type=Path, help="folder that an export is written to")
    parser.add_argument(
        "--through", type=int, help="number of the last event to remove, as an export's events.json has"
    )
    chosen, settings = parser.parse_known_args(arguments)
    store = _store(Args.of(load_settings(settings, PROGRAM)))
    try:
        if chosen.action == "export":
            if chosen.out is None:
                raise SettingError("An export needs a folder", "Name it with --out")
            count, through = export(store, chosen.out)
            return f"{count} events through number {through} are in {chosen.out}"
        if chosen.through is None:
            raise SettingError("It is not said which events to remove", "Name the last one with --through")
        return f"{store.compact(chosen.through)} events are removed"
    finally:
        store.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return status_of(lambda: print(run(sys.argv[1:] if arguments is None else arguments)), PROGRAM)


def _store(args: Args) -> EventStore:
    where = args.serve.events or args.state / FILE
    if isinstance(where, Path) and not where.exists():
        raise InputError(f"There is no event log {where}", "Name the service's settings, and its serve.state")
    return open_store(where)


def _entries(store: EventStore, through: int, events_after: int = 0) -> Iterator[Change]:
    """Entries of the log up to number ``through``, in order."""
    after = 0
    while page := store.changes(after, PAGE, events_after):
        yield from (change for change in page if change.seq <= through)
        after = page[-1].seq
        if after >= through:
            return


def _batches(store: EventStore, through: int) -> Iterator[pa.RecordBatch]:
    """The events as record batches of the schema `EVENTS`."""
    rows: list[tuple[str, str, int]] = []
    for change in _entries(store, through):
        if change.event is not None:
            rows.append((change.event.user_id, change.event.item_id, change.event.time))
        if len(rows) == 100 * PAGE:
            yield _batch(rows)
            rows = []
    if rows:
        yield _batch(rows)


def _batch(rows: list[tuple[str, str, int]]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    return pa.RecordBatch.from_arrays(
        [pa.array(c, f.type) for c, f in zip(columns, EVENTS, strict=True)], schema=EVENTS
    )


if __name__ == "__main__":
    raise SystemExit(main())
