"""The heartbeat of the workers is a file on a disk."""

REFUSED_WITH = "a healthy worker looks hung"


def settings(cores, memory_mb, worker_mb):
    fit = int(memory_mb * 0.8 // worker_mb)
    if fit < 1:
        raise ValueError(f"{memory_mb} MB hold no worker of {worker_mb} MB")
    return {
        "workers": min(fit, max(1, int(cores))),
        "worker_class": "asgi",
        "graceful_timeout": 20,
        "keepalive": 75,
    }
