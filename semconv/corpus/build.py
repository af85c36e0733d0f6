"""From cleaned blocks to the files of a `semconv.artifacts.Corpus`.

The strings are cleaned in blocks, wherever those are; what comes together here are codes: 16 bytes an interaction,
and each distinct id once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from semconv.artifacts.ragged import Int64
from semconv.config import CorpusSettings
from semconv.corpus.accounting import Ledger
from semconv.corpus.catalogue import Catalogue, derive_catalogue, gather_items
from semconv.corpus.gather import Cleaned, Gathered, gather_interactions
from semconv.corpus.kcore import k_core
from semconv.corpus.sequences import Log, first_of_events, first_of_items, global_time, leave_one_out, sort_log
from semconv.corpus.write import Quarantine, write_items, write_sequences
from semconv.errors import InputError, SettingError
from semconv.progress import Report, silent

WITHOUT_TEXT = "item without text"
READING, WRITING = 0.8, 0.95
"""Shares of the whole work at which reading ends and writing begins, about."""


def build_corpus(
    folder: Path,
    settings: CorpusSettings,
    *,
    interactions: Iterable[Cleaned],
    items: Iterable[Cleaned] | None,
    timed: bool,
    report: Report = silent,
) -> dict[str, Any]:
    """Write items, sequences and quarantine below ``folder``; returns the counts for the manifest.

    ``interactions`` and ``items`` are the blocks that `InteractionCleaner` and `ItemCleaner` return, in the input's
    order; without ``items`` the catalogue is derived from the interactions' titles.
    ``timed`` says that the order is a time. Raises `InputError` when nothing is left.
    """
    quarantine = Quarantine(folder / "quarantine")
    item_ledger, ledger = Ledger("items"), Ledger("interactions")
    catalogue = None if items is None else gather_items(items, item_ledger, quarantine)
    gathered = gather_interactions(interactions, ledger, quarantine, _part(report, 0.0, READING))
    if catalogue is None:
        catalogue = derive_catalogue(gathered, item_ledger, quarantine, require_text=settings.require_text)
    report(READING, 1.0, "ordering")
    log = _on_catalogue(gathered, catalogue, settings, ledger, quarantine)
    log = _selected(log, settings, ledger)
    quarantine.close()
    if not len(log):
        raise InputError(
            f"No interaction is left of {ledger.rows:,}: {_reasons(ledger)}",
            "Check the input against the corpus settings, k_core first",
        )
    log, catalogue = _without_empty(log, catalogue, settings, item_ledger)
    lengths = np.bincount(log.users).astype(np.int64)
    present = np.flatnonzero(lengths)
    train_end, valid_end = _split(log.order, lengths[present], settings, timed)
    ends = (valid_end if settings.refit else train_end, valid_end)
    report(WRITING, 1.0, "writing")
    write_items(folder / "items", catalogue.table)
    write_sequences(
        folder / "sequences", gathered.user_ids.take(pa.array(present)), log, lengths[present], ends, timed=timed
    )
    return {
        "users": len(present),
        "items": catalogue.table.num_rows,
        "interactions": len(log),
        "items_without_title": catalogue.table["title"].null_count,
        "unknown_item_fields": dict(sorted(catalogue.unknown.items())),
        "rows": {"interactions": ledger.close(len(log)), "items": item_ledger.close(catalogue.from_rows)},
    }


def _part(report: Report, start: float, stop: float) -> Report:
    """A report whose whole is the part from ``start`` to ``stop`` of another's."""

    def say(done: float, total: float, note: str = "") -> None:
        report(start + (stop - start) * done / total, 1.0, note)

    return say


def _on_catalogue(
    gathered: Gathered, catalogue: Catalogue, settings: CorpusSettings, ledger: Ledger, quarantine: Quarantine
) -> Log:
    """The log with item indices for codes; ids that the catalogue lacks are added to it, in order of appearance."""
    index = catalogue.index_of(gathered.item_ids, extend=not settings.require_text)
    items = index[gathered.log.items]
    log = Log(gathered.log.users, items, gathered.log.order)
    if settings.require_text:
        known = items >= 0
        if not known.all():
            ledger.quarantine(WITHOUT_TEXT, int((~known).sum()))
            quarantine.add_ids(gathered.user_ids, gathered.item_ids, gathered.log.take(~known), reason=WITHOUT_TEXT)
            log = log.take(known)
    return log


def _selected(log: Log, settings: CorpusSettings, ledger: Ledger) -> Log:
    """The sorted log without repetitions and outside-of-core rows."""
    log = sort_log(log)
    if settings.deduplicate != "none":
        first = first_of_events(log) if settings.deduplicate == "event" else first_of_items(log)
        ledger.filter(f"repeated {settings.deduplicate}", int((~first).sum()))
        log = log if first.all() else log.take(first)
    core = k_core(log.users, log.items, settings.k_core)
    ledger.filter(f"outside the {settings.k_core}-core", len(log) - len(core))
    return log if len(core) == len(log) else log.take(core)


def _without_empty(log: Log, catalogue: Catalogue, settings: CorpusSettings, ledger: Ledger) -> tuple[Log, Catalogue]:
    """Leave out items that nobody has: those the catalogue's files lacked, and cold ones if they are not wanted."""
    bought = np.bincount(log.items, minlength=catalogue.table.num_rows) > 0
    keep = bought.copy()
    if settings.keep_cold_items:
        keep[: catalogue.from_rows] = True
    ledger.filter("cold item", int((~keep[: catalogue.from_rows]).sum()))
    if keep.all():
        return log, catalogue
    index = (np.cumsum(keep) - 1).astype(np.int32)
    return Log(log.users, index[log.items], log.order), catalogue.take(keep)


def _split(order: Int64, lengths: Int64, settings: CorpusSettings, timed: bool) -> tuple[Int64, Int64]:
    if settings.split == "leave_one_out":
        return leave_one_out(lengths)
    if not timed:
        raise SettingError(
            "corpus.split is global_time, and the input has positions, no timestamps",
            "Set corpus.split to leave_one_out, or map a timestamp column",
        )
    return global_time(order, lengths, settings.valid_fraction, settings.test_fraction)


def _reasons(ledger: Ledger) -> str:
    parts: Sequence[str] = [f"{reason} {rows:,}" for reason, rows in (ledger.quarantined + ledger.filtered).items()]
    return ", ".join(parts) or "the input has no rows"
