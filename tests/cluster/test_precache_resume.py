"""A precache job that stopped in the middle: it goes on where it was and ends with what an undisturbed one makes."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

import precache_shop
import pytest
import ray.exceptions
from precache_shop import USERS, Asked, make_shop, precache, shards_of, user_ids_of
from ray import cloudpickle
from ray.data import DataContext

from semconv.artifacts import Corpus, Run
from semconv.errors import ResourceError


@pytest.fixture(scope="module", autouse=True)
def openers_reach_the_workers() -> Iterator[None]:
    cloudpickle.register_pickle_by_value(precache_shop)
    yield
    cloudpickle.unregister_pickle_by_value(precache_shop)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_shop(tmp_path)


def interrupted(run: Run, asked: Asked) -> Path:
    """A job that stopped after half of its users or a little more; returns its private folder."""
    with pytest.raises(ray.exceptions.RayError):
        precache(run, run.artifact("topk"), Asked(asked.log, fails_after=USERS // 2), batch_size=6)
    (job,) = run.private("precache").glob("*")
    return job


def users_of(run: Run) -> list[str]:
    return sorted(Corpus.open(run.artifact("corpus")).user_ids)


def test_what_was_ranked_is_not_ranked_again_whatever_the_batch_size_is_now(run: Run, tmp_path: Path) -> None:
    context = DataContext.get_current()
    before = context.checkpoint_config, context.target_max_block_size
    undisturbed = precache(run, tmp_path / "undisturbed", batch_size=6)
    asked = Asked(tmp_path / "asked")
    job = interrupted(run, asked)
    assert not run.artifact("topk").exists()
    done = len(list(job.glob("tries/0000/done/*.parquet")))
    assert done > 0
    ranked_at_first = len(asked.histories)
    resumed = precache(run, run.artifact("topk"), asked, batch_size=7)
    assert shards_of(resumed) == shards_of(undisturbed)
    assert user_ids_of(resumed) == users_of(run)
    assert resumed.manifest.counts == undisturbed.manifest.counts
    assert (context.checkpoint_config, context.target_max_block_size) == before, (
        "datasets of other stages are not meant"
    )
    assert len(asked.histories) - ranked_at_first == USERS - 6 * done


def test_a_job_that_asks_for_something_else_begins_afresh(run: Run, tmp_path: Path) -> None:
    interrupted(run, Asked(tmp_path / "before"))
    asked = Asked(tmp_path / "asked")
    precache(run, run.artifact("topk"), asked, batch_size=6, filter_seen=False)
    assert len(asked.histories) == USERS


def test_a_second_job_for_the_same_run_is_refused_while_the_first_goes_on(run: Run, tmp_path: Path) -> None:
    with (run.path / ".precache.lock").open("a") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        with pytest.raises(ResourceError, match=r"Another precache of .* is going on"):
            precache(run, tmp_path / "topk")
    assert precache(run, tmp_path / "topk").n_users == USERS
