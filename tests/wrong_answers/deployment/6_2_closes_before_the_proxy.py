"""gunicorn closes an idle connection after two seconds, its default, and the proxy sends a request into it."""

REFUSED_WITH = "let the proxy close first"


def settings(cores, memory_mb, worker_mb):
    fit = int(memory_mb * 0.8 // worker_mb)
    if fit < 1:
        raise ValueError(f"{memory_mb} MB hold no worker of {worker_mb} MB")
    return {
        "workers": min(fit, max(1, int(cores))),
        "worker_class": "asgi",
        "worker_tmp_dir": "/dev/shm",
        "graceful_timeout": 20,
    }
