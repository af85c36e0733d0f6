"""The HTTP service."""

from __future__ import annotations

from semconv.config.leaves import Fraction, Positive, Section, operational


class VariantSettings(Section):
    """What a share of the users is answered from instead of the run itself."""

    name: str = operational("", "name in answers and in the impression log", pattern=r"^\w[\w.-]{0,63}$")
    run: str = operational("", "folder or URI of a run, <run.root>/<run.name>", min_length=1)
    snapshot: str | None = operational(None, "snapshot folder, or a store with #VERSION; none: topk of that run")
    share: Fraction = operational(0.0, "share of the users, by a stable hash of their ids")


class ServeSettings(Section):
    """The service on loopback. No request can ask for more than ``precache.k`` items."""

    host: str = operational("127.0.0.1", "address it listens on; anything but loopback asks for serve.keys")
    port: int = operational(8000, "port it listens on; 0 takes a free one", ge=0, le=65535)
    haproxy: bool = operational(True, "answer through HAProxy, in Serve's throughput-optimised mode")
    replicas: Positive = operational(2, "ingress replicas; two, so that one answers while the other swaps")
    live_replicas: Positive = operational(1, "replicas of the live model")
    snapshot: str | None = operational(None, "snapshot folder, or a store with #VERSION; none: topk of the run")
    release: str | None = operational(
        None, "releases (release.store): the current one is served, or one by #NAME; goes before serve.snapshot"
    )
    variants: tuple[VariantSettings, ...] = operational((), "experiments; the run itself answers everybody else")
    salt: str = operational("semconv", "of the hash that draws users for experiments; another one draws anew")
    cache: str | None = operational(None, "node-local folder for snapshots of a store; none: inside serve.state")
    state: str | None = operational(
        None, "folder of what outlives a restart: events, the last good version, impressions; none: inside the run"
    )
    events: str | None = operational(None, "event store: redis://HOST:PORT/DB; none: SQLite in serve.state")
    impressions: bool = operational(False, "log what was shown, with version and position, as Parquet in serve.state")
    keys: str | None = operational(None, "JSON file of API keys (python -m serve.keys); none asks for no key")
    hosts: tuple[str, ...] = operational((), "names that the Host header may have besides loopback and serve.host")
    rate: float = operational(0.0, "requests a second of one key and ingress replica, at most; 0: no limit", ge=0)
    log_ids: bool = operational(False, "write user ids to logs and impressions as they are, not as pseudonyms")
    max_history: Positive = operational(1000, "longest history a request may carry (items)")
    max_exclude: Positive = operational(1000, "most items that a request may leave out")
    max_events: Positive = operational(1000, "most events in a request")
    max_id_length: Positive = operational(256, "longest user or item id a request may carry (characters)")
    max_wish: Positive = operational(200, "longest wish, query, category or brand (characters)")
    max_body_bytes: Positive = operational(1_048_576, "largest request body (bytes)")
    prepared: Positive = operational(
        20_000, "answers kept ready to send in each ingress replica; 20,000 lists of 50 items are some 115 MiB"
    )
    live_batch_size: Positive = operational(16, "requests decoded together, at most")
    live_wait_ms: float = operational(0.0, "longest wait for such a batch to fill (milliseconds)", ge=0)
    live_queue: Positive = operational(64, "live requests waiting at an ingress replica before it falls back at once")
    live_deadline_s: float = operational(2.0, "longest wait for a live answer before falling back (seconds)", gt=0)
