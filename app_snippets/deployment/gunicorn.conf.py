"""How gunicorn runs the service on a machine of its own: `gunicorn service:app` reads this file where it is started.

Workers come from the cores, and from the memory where that is the smaller. Names are those of gunicorn's settings.
"""

import os
import signal
from pathlib import Path
from typing import Any


def cores() -> int:
    """Those that this process may use, at most: a container's share of time (cgroup v2) may be less than its cores."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read("/sys/fs/cgroup/cpu.max").partition(" ")
    return max(1, min(allowed, int(quota) // int(period))) if quota.isdigit() else allowed


def memory() -> int:
    """Bytes that this process and its children may use together."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _read("/sys/fs/cgroup/memory.max")
    return min(machine, int(limit)) if limit.isdigit() else machine


def _read(path: str) -> str:
    return Path(path).read_text().strip() if Path(path).exists() else ""


drain = float(os.environ.get("DRAIN_SECONDS", "5"))  # the service's own settings, by the same names
finish = float(os.environ.get("FINISH_SECONDS", "10"))
megabytes = int(os.environ.get("WORKER_MEGABYTES", "150"))  # measure one of yours under load

bind = os.environ.get("BIND", "0.0.0.0:8000")
worker_class = "uvicorn_worker.UvicornWorker"  # `-k asgi` works with this file too
workers = int(os.environ.get("WEB_CONCURRENCY", max(1, min(cores(), memory() * 4 // 5 // (megabytes << 20)))))
preload_app = False  # connections and threads made at import would be shared by, or missing in, forked workers

timeout = 30  # a worker whose loop does not turn for so long is killed, and replaced
keepalive = 75  # longer than the proxy keeps an idle connection: the proxy closes it, and never under a request
graceful_timeout = round(drain + finish + 5)  # then SIGKILL: after the drain, and what is in flight, are done
control_socket_disable = True  # or it opens one in the home folder, which a second gunicorn would take over
max_requests = 100_000  # a slow leak ends with its worker,
max_requests_jitter = 10_000  # and not all workers at once
shared = Path("/dev") / "shm"
worker_tmp_dir = str(shared) if shared.is_dir() else None  # the heartbeat's file waits for no disk


def post_fork(_: object, worker: Any) -> None:
    """Gives the asgi worker an ordinary handler of SIGTERM: the lifespan can wrap that, and not one in the loop."""
    if not hasattr(worker, "handle_exit_signal"):
        return
    register, stop = worker.init_signals, worker.handle_exit_signal

    def init_signals() -> None:
        worker.handle_exit_signal = lambda: None  # for the loop: uvloop forgets no handler before it runs
        register()
        signal.signal(signal.SIGTERM, lambda *_: stop())

    worker.init_signals = init_signals  # before the import of the app, during which a SIGTERM may come
