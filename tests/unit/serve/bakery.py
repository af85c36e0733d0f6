"""A small shop behind the service: a run with a snapshot, a live model that is told what to say, and an event store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from semconv.artifacts import (
    NONE,
    ItemTokens,
    Recommender,
    TopKWriter,
    finish,
    staging,
    stamp_of,
    users_batch,
    write_catalogue,
    write_similar,
)
from semconv.config import RecommendSettings
from semconv.config.serve import ServeSettings, VariantSettings
from serve.bundle import Bundle, Served, open_bundle
from serve.catalogue import Catalogue
from serve.questions import LiveAnswer, LiveQuestion
from serve.service import Service
from serve.state import ShopState
from serve.store import open_store

K, KEPT = 3, 5
IDS = ["rye", "oat", "spelt", "bun", "roll", "pie", "tart", "cake"]
TITLES = ["Dark rye", "Oat loaf", None, "Sweet bun", "Milk roll", "Apple pie", "Lemon tart", "Cherry cake"]
BRANDS = ["Mill", "Mill", "Mill", "Oven", "Oven", "Sugar", "Sugar & Co", None]
CATEGORIES = [["Bread"], ["Bread", "Organic"], ["Bread"], ["Sweet"], ["Bread", "Sweet"], ["Sweet"], ["Sweet"], None]
POPULARITY = np.array([9, 8, 7, 6, 5, 4, 3, 2])
NEAR = {"rye": ["oat", "spelt"], "oat": ["rye", "roll"], "pie": ["tart", "cake"], "tart": ["pie"]}
LISTS = {"ann": ["oat", "bun", "pie", "tart", "cake"], "bob": ["rye", "roll"], "cy": []}
HISTORIES = {"ann": ["rye"], "bob": ["oat", "pie"], "cy": IDS}


def indices(item_ids: Sequence[str]) -> list[int]:
    return [IDS.index(item_id) for item_id in item_ids]


def padded(rows: Sequence[Sequence[str]], width: int) -> np.ndarray:
    found = np.full((len(rows), width), NONE, np.int32)
    for row, listed in zip(found, map(indices, rows), strict=True):
        row[: len(listed)] = listed
    return found


def bake(
    run: Path,
    *,
    name: str = "topk",
    lists: dict[str, list[str]] = LISTS,
    model: str = "first",
    events: dict[str, Any] | None = None,
    blocked: Sequence[str] = (),
    **recommend: Any,
) -> VariantSettings:
    """Write a run's tokens, model and snapshot, as far as they are not there; the variant that serves them."""
    for kind in ("tokens", "model"):
        if not (run / kind).exists():
            with staging(run / kind) as folder:
                (folder / "content").write_text(model)
                finish(folder, kind, settings={}, inputs={}, counts={}, request=model, seconds=0)
    settings = {
        "precache": {"k": K, "spare": KEPT - K, "filter_seen": True},
        "recommend": RecommendSettings(blocked=tuple(blocked), **recommend).model_dump(mode="json"),
    }
    items = padded(list(lists.values()), KEPT)
    scores = np.where(items == NONE, -np.inf, -np.arange(KEPT)).astype(np.float32)
    histories = [indices(HISTORIES.get(user, [])) for user in lists]
    catalogue = pa.table(
        {
            "item_id": IDS,
            "title": TITLES,
            "brand": BRANDS,
            "categories": pa.array(CATEGORIES, pa.list_(pa.string())),
        }
    )
    near = padded([NEAR.get(item_id, []) for item_id in IDS], 2)
    with staging(run / name) as folder:
        codes = np.arange(len(IDS) * 2, dtype=np.int32).reshape(-1, 2)
        barred = np.asarray(indices(blocked), np.int32)
        write_catalogue(folder, items=catalogue, codes=codes, popularity=POPULARITY, blocked=barred)
        write_similar(folder, near, np.where(near == NONE, -np.inf, [1.0, 0.5]).astype(np.float32))
        writer = TopKWriter(folder, shards=2, kept=KEPT)
        writer.add(users_batch(pa.array(lists), items, scores, histories, [stamp_of(one) for one in histories]))
        writer.finish(pa.array(lists))
        inputs = {kind.kind: kind.open(run / kind.kind) for kind in (ItemTokens, Recommender)}
        counts = {"events": events} if events else {}
        finish(folder, "topk", settings=settings, inputs=inputs, counts=counts, request=name, seconds=0)
    return VariantSettings(name="main", run=str(run), snapshot=str(run / name))


@dataclass
class Oven:
    """A live model: answers with all items from the last to the first that are asked for and not in the history."""

    models: dict[str, str] = field(default_factory=dict)
    catalogues: dict[str, Catalogue] = field(default_factory=dict)
    asked: list[LiveQuestion] = field(default_factory=list)
    failure: Exception | None = None
    stuck: bool = False

    def holds(self, bundle: Bundle) -> None:
        self.models[bundle.snapshot.fingerprint] = bundle.model
        self.catalogues[bundle.snapshot.fingerprint] = bundle.catalogue

    async def rank(self, question: LiveQuestion) -> LiveAnswer:
        self.asked.append(question)
        if self.stuck:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        fits = self.catalogues[question.snapshot].matching(question.category, question.brand)
        barred = {*question.exclude, *question.history}
        items = [item for item in indices(IDS[::-1]) if fits[item] and item not in barred][: question.k]
        return LiveAnswer(items, [10.0 - place for place in range(len(items))], self.models[question.snapshot])

    async def reasons(self, question: LiveQuestion, items: tuple[int, ...]) -> list[dict[str, Any]]:
        self.asked.append(question)
        if self.failure is not None:
            raise self.failure
        history = [{"item": item, "contribution": 0.5} for item in question.history]
        shared = {"codes": (1,), "item": question.history[0]} if question.history else None
        told = {"score": 1.5, "sources": [], "history": history, "prefix": shared, "wish": None}
        return [{"item": item, **told} for item in items]

    async def status(self) -> dict[str, Any]:
        if self.failure is not None:
            raise self.failure
        return {"model": self.models}


@dataclass
class Shop:
    """A service over snapshots, with what is behind it."""

    service: Service
    oven: Oven
    state: ShopState
    settings: ServeSettings


def open_shop(folder: Path, *variants: VariantSettings, **settings: Any) -> Shop:
    """A service over these variants, the first being the main one; all of them see the store in ``folder``."""
    state, oven = ShopState(open_store(folder / "events.sqlite")), Oven()
    chosen = ServeSettings(**{"live_deadline_s": 0.2, **settings})
    shop = Shop(Service(state, oven, chosen), oven, state, chosen)
    asyncio.run(shop.service.swap(serve(shop, *variants)))
    return shop


def serve(shop: Shop, *variants: VariantSettings, salt: str = "salt") -> Served:
    """The variants opened, and known to the live model."""
    bundles = {variant.name: open_bundle(variant, Path(variant.run) / "cache") for variant in variants}
    for bundle in bundles.values():
        shop.oven.holds(bundle)
    return Served(bundles, {variant.name: variant.share for variant in variants}, salt)
