"""The service under load on one machine, with the load generator (wrk) beside it.

python -m benchmarks.serving --out FILE.json [--run FOLDER] [--quick]

    hit_rps_over_noop            known users a second over requests a second to an application that does nothing
                                 (`benchmarks.serving_noop`: the same response bytes, as many replicas, the same proxy)
    hit_p99_over_noop_p99        both at the same rate, half of what hits saturate at
    unprepared_rps_over_noop     the same two where no answer is kept ready to be sent (serve.prepared is 1), so that
    unprepared_p99_over_noop_p99 each is made from the snapshot
    hit_rps_over_default_proxy   over the same application behind Ray Serve's own Python proxy
    swap_errors                  in 200,000 requests and two hot swaps among them, to a snapshot of other lists and back
    hit_p99_under_live_overload  hits at a quarter of saturation while twice as many live answers are asked for as one
                                 thread can give, over the same without
    live_p50_over_decode         one live answer over the same ranking in this process, one thread each
    restart_s                    from the start of the service's process to the first cached answer

Users are drawn at random over all of the snapshot, and answers that are not the cache's fail the figure. All at 16
connections, medians of five rounds (quick: three) in which what is compared takes turns; but for the default proxy and
the restarts, which are processes of their own. The rest is in ``detail``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

from benchmarks import shop
from benchmarks.harness import GIB, Results, command
from benchmarks.reversed_snapshot import write_reversed
from benchmarks.serving_hits import COUNTS, Beside, Size, answer, beside, first_answer, told, user_paths
from benchmarks.serving_live import over_decode, under_overload
from benchmarks.serving_load import ask, require_cached
from benchmarks.serving_noop import deploy_noop
from benchmarks.serving_restart import started
from benchmarks.serving_swaps import swaps
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
    quick = options.quick
    with tempfile.TemporaryDirectory(dir=options.scratch) as place:
        scratch = Path(place)
        run = shop.run_of(options, scratch)
        chosen = {"port": 0, "state": str(scratch / "state"), "prepared": options.prepared}
        settings = shop.settings_of(run, {"ray": {"threads": THREADS}, "serve": chosen})
        snapshot = TopKSnapshot.open(run.artifact(TopKSnapshot.kind))
        listed = user_paths(snapshot)
        paths, first = scratch / "paths", listed[0]
        paths.write_text("".join(f"{path}\n" for path in listed))
        size = QUICK_SIZE if quick else SIZE
        figures, detail, saturation = _beside_noop(run, settings, paths, first, size, quick, scratch)
        unprepared = _unprepared(settings, paths, first, size)
        behind = _default_proxy(settings, paths, first, size, scratch)
        restarts = _restarts(settings, first, QUICK_RESTARTS if quick else RESTARTS, scratch)
    figures |= {"hit_rps_over_default_proxy": saturation / behind["rps"], "restart_s": median(restarts)}
    figures["unprepared_rps_over_noop"], figures["unprepared_p99_over_noop_p99"] = unprepared.figures
    served = {
        "users": snapshot.n_users,
        "asked": len(listed),
        "items": snapshot.n_items,
        "k": snapshot.k,
        "prepared": options.prepared,
        "gib": sum(file["bytes"] for file in snapshot.manifest.files.values()) / GIB,
    }
    others = {"unprepared": unprepared.told(), "default_proxy": behind, "restarts_s": restarts}
    return {**{name: figures[name] for name in FIGURES}, "detail": {"served": served, **detail, **others}}


FIGURES = (
    "hit_rps_over_noop",
    "hit_p99_over_noop_p99",
    "unprepared_rps_over_noop",
    "unprepared_p99_over_noop_p99",
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
    snapshot = TopKSnapshot.open(run.artifact(TopKSnapshot.kind))
    other = write_reversed(snapshot, run, scratch / "other" / TopKSnapshot.kind)
    with service(settings) as url:
        body = answer(f"{url}{first}")
        found = beside({"hit": url, "noop": _noop(url, first, body, settings)}, paths, size)
        live = over_decode(url, run, settings, QUICK_LIVE if quick else LIVE)
        overload = under_overload(url, paths, run, found.saturation, size, scratch)
        swapped = swaps(url, paths, settings, run, other, QUICK_REQUESTS if quick else REQUESTS)
    rps, p99 = found.figures
    figures = {
        "hit_rps_over_noop": rps,
        "hit_p99_over_noop_p99": p99,
        "live_p50_over_decode": live.pop("live_p50_over_decode"),
        "hit_p99_under_live_overload": overload.pop("hit_p99_under_live_overload"),
        "swap_errors": swapped.pop("swap_errors"),
    }
    detail = {"bytes": len(body), **found.told(), "live": live, "overload": overload, "swaps": swapped}
    return figures, detail, found.saturation


def _unprepared(settings: Settings, paths: Path, first: str, size: Size) -> Beside:
    """Hits of a service that keeps one answer ready, not those of the users who ask often."""
    with service(_serving(settings, prepared=1)) as url:
        noop = _noop(url, first, answer(f"{url}{first}"), settings)
        return beside({"hit": url, "noop": noop}, paths, size, counts=(COUNTS,))


def _noop(url: str, first: str, body: bytes, settings: Settings) -> str:
    """URL of the application that does nothing, once it does."""
    noop = deploy_noop(url, body, settings.serve.replicas)
    first_answer(f"{noop}{first}")
    return noop


def _serving(settings: Settings, **chosen: object) -> Settings:
    return settings.model_copy(update={"serve": settings.serve.model_copy(update=chosen)})


def _default_proxy(settings: Settings, paths: Path, first: str, size: Size, scratch: Path) -> Results:
    """Hits behind Ray Serve's own Python proxy."""
    with started(_serving(settings, haproxy=False), first, scratch) as (url, _):
        require_cached(ask(url, paths, connections=COUNTS, seconds=size.seconds, told=True))
        loads = [ask(url, paths, connections=COUNTS, seconds=size.seconds) for _ in range(size.rounds)]
    return told(list(map(require_cached, loads)))


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
        help=f"serve.prepared ({ready})",
    )


if __name__ == "__main__":
    command("serving", measure, arguments)
