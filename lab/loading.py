"""Load on a local server, driven from a process of its own: a driver in this one would measure itself."""

from __future__ import annotations

import ipaddress
import json as json_module
import re
import sys
import threading
from array import array
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from numbers import Integral, Real
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

from lab.errors import LabError
from lab.worker import Worker, WorkerDied, WorkerTimeout

MAX_REQUESTS, MAX_CONCURRENCY, MAX_SECONDS = 200_000, 1_000, 120
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
FILES, SPARE_FILES = 4_096, 32  # open files: as many as may be of use, and what a process opens besides connections
SAFE = "/?:@!$&'()*+,;=-._~%"  # what a path and a query may hold as it is
SILENCE = 30  # seconds; the worker reports several times a second


class LoadError(LabError):
    """A load that was refused, or whose process ended."""


@dataclass(frozen=True, repr=False)
class Loaded:
    """What a load saw. All times are in seconds.

    seconds: from the first request sent to the last one finished, or to `within`.
    latency: quantiles "p50", "p90", "p99", "max" and "mean" of the answered requests, from before sending to the
        last byte of the body; nan where nothing was answered.
    statuses: how many answers of each HTTP status.
    errors: how many requests failed, by kind: "refused", "timeout", "disconnected" (closed without an answer),
        "incomplete" (closed within an answer), "reset", "garbage" (not HTTP), "open files", "tls", "other".
    unfinished: how many requests were not sent, or had no end, when the time was up.
    """

    seconds: float
    latency: dict[str, float]
    statuses: Counter[int]
    errors: Counter[str]
    unfinished: int
    starts: array[float] = field(compare=False)
    ends: array[float] = field(compare=False)

    @property
    def answered(self) -> int:
        return self.statuses.total()

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds

    @cached_property
    def spans(self) -> list[tuple[float, float]]:
        """Start and end of each answered request, counted from the load's begin, in order of start."""
        return sorted(zip(self.starts, self.ends, strict=True))

    def __repr__(self) -> str:
        parts = [f"{self.answered:,} answered"]
        if self.statuses:
            parts[0] += ": " + ", ".join(f"{count:,} x {status}" for status, count in sorted(self.statuses.items()))
        parts += [f"{count:,} {word}" for word, count in sorted(self.errors.items())]
        if self.unfinished:
            parts.append(f"{self.unfinished:,} unfinished")
        return "; ".join(parts)


def load(
    url: str,
    *,
    requests: int = 100,
    concurrency: int = 10,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    json: object = None,
    timeout: float = 10.0,
    within: float = 60.0,
) -> Loaded:
    """Sends `requests` requests from `concurrency` clients, each of which waits for its answer before it sends again.

    `timeout` bounds one request, `within` the whole; both in seconds, at most 120. Redirects are not followed and
    proxies are not used. Raises LoadError for any address but this machine's, and for a value out of its bounds.
    """
    address = _address(url)
    requests = _whole("requests", requests, MAX_REQUESTS)
    concurrency = min(_whole("concurrency", concurrency, MAX_CONCURRENCY), requests)
    plan = {
        **address,
        "message": _message(_method(method), url, _headers(headers), json),
        "requests": requests,
        "concurrency": concurrency,
        "timeout": _seconds("timeout", timeout),
        "within": _seconds("within", within),
    }
    _allow_open_files(concurrency)
    show = _bar(requests, concurrency)
    end = "stopped"
    try:
        loaded = Loaded(**_warm().call(plan, SILENCE, on_progress=show))
        end = repr(loaded)
    except (WorkerDied, WorkerTimeout) as error:
        raise LoadError(f"the process that drives the load ended ({error}); the next load starts a new one") from None
    finally:
        show(end)
    return loaded


_worker: Worker | None = None
_starting = threading.Lock()


def _warm() -> Worker:
    global _worker
    with _starting:
        if _worker is None or not _worker.alive:
            if _worker:
                _worker.stop()
            _worker = Worker("lab.load_worker")
        return _worker


def _address(url: object) -> dict[str, Any]:
    """Where to connect: an IP address, so that no resolver can lead elsewhere."""
    try:
        if not isinstance(url, str) or re.search(r"[\s\\\x00-\x1f]", url):
            raise ValueError
        parts = urlsplit(url)
        host, port, tls = parts.hostname, parts.port, parts.scheme == "https"
        if parts.scheme not in ("http", "https") or not host or set("@%") & set(parts.netloc):
            raise ValueError
    except ValueError:
        raise LoadError(f"load needs an address such as http://127.0.0.1:8000/, not {url!r}") from None
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise LoadError(f"load stays on this machine: {host} is not a loopback address such as 127.0.0.1")
    return {"host": str(address), "port": port or (443 if tls else 80), "tls": tls}


def _whole(name: str, value: object, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or not 1 <= int(value) <= most:
        raise LoadError(f"{name} must be a whole number from 1 to {most:,}, not {value!r}")
    return int(value)


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) <= MAX_SECONDS:
        raise LoadError(f"{name} must be a number of seconds above 0 and up to {MAX_SECONDS}, not {value!r}")
    return float(value)


def _method(method: object) -> str:
    if not isinstance(method, str) or method.upper() not in METHODS:
        raise LoadError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    return method.upper()


def _headers(headers: object) -> dict[str, str]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise LoadError(f"headers must be a dict of str to str, not {headers!r}")
    for name, value in headers.items():
        if not isinstance(name, str) or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise LoadError(f"{name!r} is not a header's name")
        if not isinstance(value, str) or re.search(r"[^\t\x20-\x7e\xa0-\xff]", value):
            raise LoadError(f"the header {name} must have a str of one line, not {value!r}")
    return {name.lower(): value for name, value in headers.items()}


def _message(method: str, url: str, headers: dict[str, str], json: object) -> bytes:
    """The request as it goes over the wire, made once."""
    parts = urlsplit(url)
    target = quote(parts.path or "/", safe=SAFE) + (f"?{quote(parts.query, safe=SAFE)}" if parts.query else "")
    headers = {"host": parts.netloc, **headers}
    body = b""
    if json is not None:
        try:
            body = json_module.dumps(json).encode()
        except (TypeError, ValueError) as error:
            raise LoadError(f"json: {error}") from None
        headers = {"content-type": "application/json", **headers, "content-length": str(len(body))}
    elif method in ("POST", "PUT", "PATCH"):
        headers = {**headers, "content-length": "0"}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def _allow_open_files(concurrency: int) -> None:
    """Raises the soft limit as far as the hard one lets it: for a server in this process, and for the worker."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    if limit < concurrency + SPARE_FILES:
        raise LoadError(
            f"concurrency={concurrency} needs {concurrency + SPARE_FILES} open files and the limit is {limit}: "
            f"lower it, or run `ulimit -n {FILES}` before `make lab`"
        )


def _bar(requests: int, concurrency: int) -> Callable[[Any], None]:
    """A progress bar in a notebook, nothing elsewhere. Its text stays the same, for nbval to compare."""
    if "ipykernel" not in sys.modules:
        return lambda done: None
    from IPython.core.getipython import get_ipython
    from IPython.display import display

    if not hasattr(get_ipython(), "kernel"):
        return lambda done: None
    identity = uuid4().hex
    text = f"{requests:,} request{'s' * (requests > 1)}, {concurrency:,} at a time"
    drawn = 0

    def show(done: int | str) -> None:
        nonlocal drawn
        if isinstance(done, str):
            label, value = done, requests
        else:
            label, value = f"{done:,} of {requests:,}", done
        html = f'<progress max="{requests}" value="{value}" aria-label="{text}"></progress> {escape(label)}'
        display({"text/html": html, "text/plain": text}, raw=True, display_id=identity, update=drawn > 0)
        drawn += 1

    show(0)
    return show
