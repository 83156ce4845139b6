"""Stands between the kernel and a command that it launched, so that nothing of the command outlives the kernel.

Run by path, not imported: `python guard.py COMMAND…`. Its stdin is a pipe that only the kernel holds. When that pipe
closes, because the kernel stops the command or because it died, whatever the way, the guard ends the whole tree.
"""

import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
import time

import psutil

GRACE = 3.0  # seconds between asking the processes to end and ending them
PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


class Tree:
    """Every process that came from the command, also those whose parent is gone."""

    def __init__(self, command: subprocess.Popen[bytes]) -> None:
        self._command = command
        self._me = psutil.Process()
        self._seen: set[psutil.Process] = set()

    def living(self) -> list[psutil.Process]:
        """Looks again. On Linux an orphan comes back to the guard; elsewhere it is known if it was seen before."""
        self._seen.update(self._me.children(recursive=True))
        self._command.poll()
        return [process for process in self._seen if self._lives(process)]

    def _lives(self, process: psutil.Process) -> bool:
        try:
            if not process.is_running():
                return False
            if process.status() != psutil.STATUS_ZOMBIE:
                return True
            if process.pid != self._command.pid and process.ppid() == self._me.pid:
                os.waitpid(process.pid, os.WNOHANG)  # an adopted orphan: nobody else will
        except (psutil.Error, OSError):
            pass
        return False

    def end(self) -> None:
        """Asks the top of the tree first: a master ends its workers better than we could."""
        asked: set[psutil.Process] = set()
        deadline = time.monotonic() + GRACE
        while (living := self.living()) and time.monotonic() < deadline:
            for process in living:
                with contextlib.suppress(psutil.Error):
                    if process not in asked and (process.ppid() == self._me.pid or process.parent() is None):
                        asked.add(process)
                        process.terminate()
            time.sleep(0.02)
        while living := self.living():  # again: one of them may have started another meanwhile
            for process in living:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            time.sleep(0.02)


def adopt_orphans() -> None:
    """Linux: a descendant whose parent ends becomes a child of this process instead of process 1."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def main(arguments: list[str]) -> int:
    events: queue.SimpleQueue[str] = queue.SimpleQueue()
    signal.signal(signal.SIGTERM, lambda *_: events.put("stop"))
    adopt_orphans()
    try:
        command = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        print(f"{arguments[0]}: {error.strerror}", file=sys.stderr)
        return 127

    def await_kernel() -> None:
        while os.read(0, 1024):
            pass
        events.put("stop")

    def await_command() -> None:
        command.wait()
        events.put("ended")

    for wait in (await_kernel, await_command):
        threading.Thread(target=wait, daemon=True).start()
    tree = Tree(command)
    # A command that went into the background, as a daemon does, has ended and left others behind: they are kept.
    stopped = events.get() == "stop"
    while not stopped and command.wait() == 0 and tree.living():
        with contextlib.suppress(queue.Empty):
            stopped = events.get(timeout=0.2) == "stop"
    tree.end()
    code = command.wait()
    with contextlib.suppress(ChildProcessError):
        while sys.platform != "win32" and os.waitpid(-1, os.WNOHANG)[0]:
            pass  # in a container, process 1 may not do it
    return code if code >= 0 else 128 - code  # as a shell tells that a signal ended it


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
