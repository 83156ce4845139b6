"""The default worker, for an ASGI app."""

REFUSED_WITH = "speaks WSGI, as gthread does"


def settings(cores, memory_mb, worker_mb):
    fit = int(memory_mb * 0.8 // worker_mb)
    if fit < 1:
        raise ValueError(f"{memory_mb} MB hold no worker of {worker_mb} MB")
    return {
        "workers": min(fit, max(1, int(cores))),
        "worker_tmp_dir": "/dev/shm",
        "graceful_timeout": 20,
        "keepalive": 75,
    }
