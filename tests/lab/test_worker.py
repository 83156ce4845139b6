import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from lab.errors import LabError
from lab.worker import ROOT, Worker, WorkerDied, WorkerTimeout

MODULE = "tests.lab.obedient_worker"


@pytest.fixture(scope="module")
def warm() -> Iterator[Worker]:
    """A worker that has to survive each test that uses it."""
    worker = Worker(MODULE)
    yield worker
    worker.stop()


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(MODULE)
    worker.call(("echo", 0), 30)
    yield worker
    worker.stop()


def gone(pid: int, within: float = 3) -> bool:
    """Whether the process ends within so many seconds; who has to bury it does not matter."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def test_one_process_answers_every_call(warm: Worker) -> None:
    pid = warm.pid
    assert [warm.call(("echo", number), 30) for number in range(3)] == [0, 1, 2]
    assert warm.alive
    assert warm.pid == pid


def test_what_it_reports_on_the_way_is_heard_in_order(warm: Worker) -> None:
    heard: list[object] = []
    assert warm.call(("report", None), 30, heard.append) == "done"
    assert heard == [0, 1, 2]


def test_what_a_handler_prints_does_not_mix_with_its_replies(warm: Worker) -> None:
    assert warm.call(("print", "loud"), 30) is None
    assert warm.call(("garbage", 1), 30) == 9  # written to the file descriptor itself
    assert warm.call(("echo", "clear"), 30) == "clear"


def test_a_handler_that_reads_stdin_finds_it_empty(warm: Worker) -> None:
    assert warm.call(("stdin", None), 30) == ""


def test_what_the_handler_raises_is_raised_here(warm: Worker) -> None:
    with pytest.raises(ValueError, match=r"^no$"):
        warm.call(("raise", ValueError("no")), 30)
    assert warm.alive


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (("stubborn", None), "Stubborn: onetwo"),
        (("lock", None), "the answer cannot be sent back: TypeError: cannot pickle '_thread.lock' object"),
        (
            ("echo", threading.Lock()),
            "cannot be sent to another process: TypeError: cannot pickle '_thread.lock' object",
        ),
    ],
)
def test_what_cannot_be_carried_over_is_one_readable_line(warm: Worker, request_: Any, line: str) -> None:
    with pytest.raises(LabError) as caught:
        warm.call(request_, 30)
    assert str(caught.value) == line
    assert warm.call(("echo", 1), 30) == 1


def test_sys_exit_in_a_handler_does_not_end_the_worker(warm: Worker) -> None:
    with pytest.raises(SystemExit):
        warm.call(("sys.exit", None), 30)
    assert warm.call(("echo", 1), 30) == 1


@pytest.mark.parametrize(
    ("request_", "line"), [(("words", None), "the last word"), (("exit", 4), "its process ended with exit code 4")]
)
def test_a_worker_that_ends_is_one_readable_line(worker: Worker, request_: Any, line: str) -> None:
    with pytest.raises(WorkerDied) as caught:
        worker.call(request_, 30)
    assert str(caught.value) == line
    assert not worker.alive


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")
def test_a_worker_that_is_killed_is_one_readable_line(worker: Worker) -> None:
    threading.Timer(0.1, os.kill, (worker.pid, signal.SIGKILL)).start()
    with pytest.raises(WorkerDied, match=r"^its process was killed by signal 9$"):
        worker.call(("forever", None), 30)


def test_a_module_that_cannot_start_is_one_readable_line() -> None:
    worker = Worker("tests.lab.no_such_module")
    with pytest.raises(WorkerDied, match=r"No module named tests\.lab\.no_such_module$"):
        worker.call(("echo", 1), 30)


def test_a_call_after_the_stop_is_one_readable_line(worker: Worker) -> None:
    worker.stop()
    worker.stop()
    with pytest.raises(WorkerDied):
        worker.call(("echo", 1), 30)


def test_a_handler_that_never_ends_is_stopped_when_its_time_is_up(worker: Worker) -> None:
    with pytest.raises(WorkerTimeout, match=r"^no answer within 0\.2 s$"):
        worker.call(("forever", None), 0.2)
    assert gone(worker.pid)


def test_an_interrupted_call_stops_the_worker_lest_its_reply_be_taken_for_the_next(worker: Worker) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        worker.call(("report", None), 30, interrupt)
    assert not worker.alive


def test_what_the_worker_started_is_stopped_with_it(worker: Worker) -> None:
    child = psutil.Process(worker.call(("sleeper", None), 30))
    worker.stop()
    assert gone(child.pid)


def test_calls_from_two_threads_get_each_its_own_reply(warm: Worker) -> None:
    got: dict[int, Any] = {}

    def call(number: int) -> None:
        got[number] = [warm.call(("echo", number), 30) for _ in range(50)]

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {number: [number] * 50 for number in range(4)}


def test_a_stopped_worker_leaves_no_thread_and_no_open_file() -> None:
    process = psutil.Process()
    count = process.num_handles if sys.platform == "win32" else process.num_fds
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        threads, files = threading.active_count(), count()
        for _ in range(3):
            worker = Worker(MODULE)
            worker.call(("echo", 0), 30)
            worker.stop()
        del worker
        gc.collect()
    assert (threading.active_count(), count()) == (threads, files)


@pytest.mark.parametrize("ending", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(0)", "sys.exit(0)"])
def test_a_worker_in_an_endless_loop_ends_with_its_parent_however_that_ends(ending: str) -> None:
    if sys.platform == "win32":
        ending = ending.replace("SIGKILL", "SIGTERM")
    code = f"""
import os, signal, sys, threading, time
from lab.worker import Worker
worker = Worker({MODULE!r})
worker.call(("echo", 0), 30)
threading.Thread(target=worker.call, args=(("forever", None), 60), daemon=True).start()
while not worker._calling.locked():
    time.sleep(0.01)
print(worker.pid, flush=True)
{ending}
"""
    parent = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert parent.stdout.strip().isdigit(), parent.stderr
    assert gone(int(parent.stdout))
