"""The rule for workers that block."""

REFUSED_WITH = "workers=5"


def settings(cores, memory_mb, worker_mb):
    fit = int(memory_mb * 0.8 // worker_mb)
    if fit < 1:
        raise ValueError(f"{memory_mb} MB hold no worker of {worker_mb} MB")
    return {
        "workers": min(fit, 2 * int(cores) + 1),
        "worker_class": "asgi",
        "worker_tmp_dir": "/dev/shm",
        "graceful_timeout": 20,
        "keepalive": 75,
    }
