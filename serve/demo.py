"""Starts the service, asks it for a known and for a never-seen user, shows the evaluation, and shuts everything down.

python -m serve.demo --config configs/demo.yaml
"""

from __future__ import annotations

from typing import Any

from semconv.artifacts import Report, Run
from semconv.cli import main
from semconv.config import Settings
from semconv.errors import ResourceError
from serve.ask import Questions, ask, show
from serve.start import service


def run(settings: Settings) -> None:
    """Show the demo."""
    report = Report.open(Run.of(settings.run).artifact(Report.kind))
    questions = Questions.of(settings)
    with service(settings) as url:
        cached, live = ask(url, questions)
    print(show(questions, cached, live))
    print(f"\n{(report.path / 'report.md').read_text(encoding='utf-8').strip()}")
    print(f"\nreport: {report.path / 'index.html'}", flush=True)
    require_sources(cached, live)


def require_sources(cached: dict[str, Any], live: dict[str, Any]) -> None:
    """Raise `ResourceError` unless the known user was answered from the cache and the other one live."""
    for name, answer, source in (("known", cached, "cache"), ("never-seen", live, "live")):
        if answer["source"] != source:
            raise ResourceError(
                f"The {name} user was answered from {answer['source']}, not from {source}",
                "See the service's log; a slow machine may need a longer --serve.live_deadline_s",
            )


if __name__ == "__main__":
    main(run, "serve.demo")
