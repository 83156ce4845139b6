"""One worker at least, also where none fits."""

REFUSED_WITH = "refuse to start"


def settings(cores, memory_mb, worker_mb):
    fit = int(memory_mb * 0.8 // worker_mb)
    return {
        "workers": max(1, min(fit, int(cores))),
        "worker_class": "asgi",
        "worker_tmp_dir": "/dev/shm",
        "graceful_timeout": 20,
        "keepalive": 75,
    }
