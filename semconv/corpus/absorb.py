"""Events that a corpus takes in, so that a model can be trained on them."""

from __future__ import annotations

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from semconv.artifacts import Corpus
from semconv.corpus.later import ABSORBED, Later, histories_of, not_absorbed
from semconv.corpus.sequences import Log, leave_one_out
from semconv.corpus.write import write_sequences
from semconv.errors import SettingError


def absorb(corpus: Corpus, later: Later) -> None:
    """Write the sequences of a corpus that is not published yet anew, with later events behind what they were.

    Every user's last item but one validates and the last tests, as if all had been read at once; times are left out,
    for the order of acceptance is none of times. An export that still holds these events adds them no second time.
    Raises `SettingError` for a corpus that is split in another way.
    """
    split = corpus.manifest.settings["corpus"]["split"]
    if split != "leave_one_out":
        raise SettingError(
            f"night.epochs trains on new events, and under corpus.split {split} all of them would test",
            "Set night.epochs to 0, or release a full run on a newer log",
        )
    fresh, known = not_absorbed(corpus, later).events, histories_of(corpus, later)
    fresh = fresh.filter(pc.is_in(fresh["item_id"], value_set=pa.array(corpus.item_ids, pa.string())))
    stored = corpus.path / ABSORBED
    before = [pq.read_table(stored)] if stored.exists() else []
    lengths = known.items.lengths
    users = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    log = Log(users, known.items.values, np.zeros(len(users), np.int64))
    shutil.rmtree(corpus.path / "sequences")
    write_sequences(corpus.path / "sequences", known.user_ids, log, lengths, leave_one_out(lengths), timed=False)
    stored.unlink(missing_ok=True)  # it may be a link to another corpus's
    pq.write_table(pa.concat_tables([*before, fresh]), stored)
