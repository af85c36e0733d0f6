"""The HTTP service."""

from __future__ import annotations

from semconv.config.leaves import Positive, Section, operational


class ServeSettings(Section):
    """The service on loopback. No request can ask for more than ``precache.k`` items."""

    host: str = operational("127.0.0.1", "address it listens on")
    port: int = operational(8000, "port it listens on; 0 takes a free one", ge=0, le=65535)
    replicas: Positive = operational(1, "ingress replicas")
    live_replicas: Positive = operational(1, "replicas of the live model")
    max_history: Positive = operational(1000, "longest history a request may carry (items)")
    max_id_length: Positive = operational(256, "longest user or item id a request may carry (characters)")
    max_body_bytes: Positive = operational(1_048_576, "largest request body (bytes)")
    live_batch_size: Positive = operational(16, "requests decoded together, at most")
    live_wait_ms: float = operational(5.0, "longest wait for such a batch to fill (milliseconds)", ge=0)
    live_queue: Positive = operational(64, "live requests waiting at an ingress replica before it falls back at once")
    live_deadline_s: float = operational(2.0, "longest wait for a live answer before falling back (seconds)", gt=0)
