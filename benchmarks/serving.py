"""The service under load on one machine, with the load generators (wrk, hey) beside it.

python -m benchmarks.serving --out FILE.json [--run FOLDER] [--quick]

    hit_rps_over_noop            known users a second over requests a second to an application that does nothing
                                 (`benchmarks.serving_noop`: the same response bytes, as many replicas, the same proxy)
    hit_p99_over_noop_p99        both at the same rate, half of what hits saturate at
    hit_rps_over_default_proxy   over the same application behind Ray Serve's own Python proxy
    swap_errors                  in 200,000 requests with two hot swaps among them
    hit_p99_under_live_overload  hits at a quarter of saturation while twice as many live answers are asked for as one
                                 thread can give, over the same without
    live_p50_over_decode         one live answer over the same ranking in this process, one thread each
    restart_s                    from the start of the service's process to the first cached answer

All at 16 connections, medians of five rounds (quick: three) in which what is compared takes turns; the rest is in
``detail``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

from benchmarks import shop
from benchmarks.harness import Results, command
from benchmarks.serving_hits import COUNTS, Size, at_rate, first_answer, ratio, saturated, told, user_paths
from benchmarks.serving_live import over_decode, under_overload
from benchmarks.serving_load import saturate
from benchmarks.serving_noop import deploy_noop
from benchmarks.serving_restart import started
from benchmarks.serving_swaps import another, swaps
from semconv.artifacts import Run, TopKSnapshot
from semconv.config import ServeSettings, Settings
from serve.start import service

THREADS = 1
"""Of the live model."""
SIZE, QUICK_SIZE = Size(5), Size(1, rounds=3)
REQUESTS, QUICK_REQUESTS = 200_000, 10_000
LIVE, QUICK_LIVE = 300, 30
RESTARTS, QUICK_RESTARTS = 5, 1


def measure(options: argparse.Namespace) -> Results:
    """Everything, over one run."""
    with tempfile.TemporaryDirectory(dir=options.scratch) as place:
        scratch = Path(place)
        run = shop.run_of(options, scratch)
        chosen = {"port": 0, "state": str(scratch / "state"), "prepared": options.prepared}
        settings = shop.settings_of(run, {"ray": {"threads": THREADS}, "serve": chosen})
        snapshot = TopKSnapshot.open(run.artifact(TopKSnapshot.kind))
        listed = user_paths(snapshot)
        paths = scratch / "paths"
        paths.write_text("".join(f"{path}\n" for path in listed))
        size = QUICK_SIZE if options.quick else SIZE
        figures, detail, saturation = _beside_noop(run, settings, paths, listed[0], size, options.quick, scratch)
        behind = _default_proxy(settings, paths, listed[0], size, scratch)
        restarts = _restarts(settings, listed[0], QUICK_RESTARTS if options.quick else RESTARTS, scratch)
    figures |= {"hit_rps_over_default_proxy": saturation / behind["rps"], "restart_s": median(restarts)}
    served = {"users": snapshot.n_users, "items": snapshot.n_items, "k": snapshot.k, "prepared": options.prepared}
    return {
        **{name: figures[name] for name in FIGURES},
        "detail": {"served": served, **detail, "default_proxy": behind, "restarts_s": restarts},
    }


FIGURES = (
    "hit_rps_over_noop",
    "hit_p99_over_noop_p99",
    "hit_rps_over_default_proxy",
    "swap_errors",
    "hit_p99_under_live_overload",
    "live_p50_over_decode",
    "restart_s",
)


def _beside_noop(
    run: Run, settings: Settings, paths: Path, first: str, size: Size, quick: bool, scratch: Path
) -> tuple[Results, Results, float]:
    """The figures of one service, its raw figures, and the hits a second it can answer."""
    other = another(run, settings, scratch)
    with service(settings) as url:
        body = first_answer(f"{url}{first}")
        urls = {"hit": url, "noop": deploy_noop(url, body, settings.serve.replicas)}
        first_answer(f"{urls['noop']}{first}")
        loads = saturated(urls, paths, size)
        counted = loads[COUNTS]
        saturation = median(load.rps for load in counted["hit"])
        half = at_rate({name: f"{base}{first}" for name, base in urls.items()}, saturation / 2, size)
        live = over_decode(url, run, settings, QUICK_LIVE if quick else LIVE)
        overload = under_overload(url, first, run, saturation, size, scratch)
        swapped = swaps(url, paths, settings, run, other, QUICK_REQUESTS if quick else REQUESTS)
    figures = {
        "hit_rps_over_noop": ratio(counted["hit"], counted["noop"], "rps"),
        "hit_p99_over_noop_p99": ratio(half["hit"], half["noop"], "p99_ms"),
        "live_p50_over_decode": live.pop("live_p50_over_decode"),
        "hit_p99_under_live_overload": overload.pop("hit_p99_under_live_overload"),
        "swap_errors": swapped.pop("swap_errors"),
    }
    detail = {
        "bytes": len(body),
        "saturated": {count: {name: told(found) for name, found in alike.items()} for count, alike in loads.items()},
        "half_of_saturation": {name: told(found) for name, found in half.items()},
        "live": live,
        "overload": overload,
        "swaps": swapped,
    }
    return figures, detail, saturation


def _default_proxy(settings: Settings, paths: Path, first: str, size: Size, scratch: Path) -> Results:
    """Hits behind Ray Serve's own Python proxy."""
    python = settings.model_copy(update={"serve": settings.serve.model_copy(update={"haproxy": False})})
    with started(python, first, scratch) as (url, _):
        saturate(url, paths, connections=COUNTS, seconds=size.seconds)
        loads = [saturate(url, paths, connections=COUNTS, seconds=size.seconds) for _ in range(size.rounds)]
    return told(loads)


def _restarts(settings: Settings, first: str, times: int, scratch: Path) -> list[float]:
    seconds = []
    for _ in range(times):
        with started(settings, first, scratch) as (_, taken):
            seconds.append(taken)
    return seconds


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of its own."""
    shop.arguments(parser)
    ready = ServeSettings().prepared
    parser.add_argument(
        "--prepared",
        type=int,
        default=ready,
        help=f"serve.prepared ({ready}); 1 has every answer made from the snapshot",
    )


if __name__ == "__main__":
    command("serving", measure, arguments)
