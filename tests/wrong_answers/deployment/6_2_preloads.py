"""The app is imported before the fork, with the connection that it opens."""

REFUSED_WITH = "all workers write into this one socket"


def settings(cores, memory_mb, worker_mb):
    fit = int(memory_mb * 0.8 // worker_mb)
    if fit < 1:
        raise ValueError(f"{memory_mb} MB hold no worker of {worker_mb} MB")
    return {
        "workers": min(fit, max(1, int(cores))),
        "preload_app": True,
        "worker_class": "asgi",
        "worker_tmp_dir": "/dev/shm",
        "graceful_timeout": 20,
        "keepalive": 75,
    }
