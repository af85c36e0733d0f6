"""Asks a running service for a known user and for a never-seen one, and shows both answers.

python -m serve.ask --config configs/demo.yaml
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from semconv.artifacts import Corpus, Run
from semconv.cli import main
from semconv.config import Settings
from semconv.errors import ResourceError
from serve.args import Args, base_url
from serve.running import Running

SHOWN = 5
"""Items asked for, and the length of the new user's history."""
TIMEOUT_S = 30.0
KEY = "SEMCONV_API_KEY"
"""Environment variable with the key that a service with keys asks for."""


@dataclass(frozen=True)
class Questions:
    """A user that the snapshot knows, and the history (ids and titles) that a new user brings along."""

    run: Path
    user_id: str
    history: list[str]
    titles: list[str | None]

    @classmethod
    def of(cls, settings: Settings) -> Questions:
        """Questions about the shop of these settings' run: its first user, and what its last one did."""
        run = Run.of(settings.run)
        corpus = Corpus.open(run.artifact(Corpus.kind))
        items = corpus.sequences[corpus.n_users - 1][:SHOWN].tolist()
        titles = [corpus.items["title"][item].as_py() for item in items]
        return cls(run.path, corpus.user_ids[0], [corpus.item_ids[item] for item in items], titles)

    def body(self) -> str:
        """The live question as JSON."""
        return json.dumps({"history": self.history, "k": SHOWN})


def user_url(url: str, user_id: str) -> str:
    """Where a user's recommendations are."""
    return f"{url}/v1/users/{quote(user_id, safe='')}/recommendations?k={SHOWN}"


def ask(url: str, questions: Questions) -> tuple[dict[str, Any], dict[str, Any]]:
    """The service's two answers: for the known user, and for the history."""
    live = f"{url}/v1/recommendations"
    return _fetch(user_url(url, questions.user_id)), _fetch(live, questions.body().encode())


def show(questions: Questions, cached: dict[str, Any], live: dict[str, Any]) -> str:
    """Both answers as text for a terminal."""
    history = [
        f"  has         {title or item}" for item, title in zip(questions.history, questions.titles, strict=True)
    ]
    return "\n".join(
        [
            f"known user {questions.user_id}: source {cached['source']}, {cached['took_ms']:.1f} ms",
            *_lines(cached),
            "",
            f"never-seen user with a history: source {live['source']}, {live['took_ms']:.1f} ms",
            *history,
            *_lines(live),
        ]
    )


def _lines(answer: dict[str, Any]) -> list[str]:
    return [f"  {item['score']:10.3f}  {item['title'] or item['item_id']}" for item in answer["items"]]


def _fetch(url: str, body: bytes | None = None) -> dict[str, Any]:
    headers = {"content-type": "application/json"} if body else {}
    if KEY in os.environ:
        headers["authorization"] = f"Bearer {os.environ[KEY]}"
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return dict(json.load(response))
    except urllib.error.HTTPError as error:
        detail = error.read().decode(errors="replace")
        raise ResourceError(
            f"The service answered {error.code}: {detail}",
            f"Check that it serves the run of these settings; a key, if it asks for one, goes into {KEY}",
        ) from None
    except OSError as error:
        raise ResourceError(
            f"The service does not answer: {error}", "Start it with python -m serve.run and the same settings"
        ) from None


def run(settings: Settings) -> None:
    """Ask and print."""
    questions = Questions.of(settings)
    running = Running.read(Args.of(settings).state)
    url = running.url if running else base_url(settings.serve.host, settings.serve.port)
    print(show(questions, *ask(url, questions)))


if __name__ == "__main__":
    main(run, "serve.ask")
