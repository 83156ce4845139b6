"""The doctor names one fix for each thing that is broken, and runs where nearly everything is."""

import os
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from lab import doctor

ROOT = Path(__file__).parents[2]


def examined(before: str = "pass", *options: str, **environment: str) -> tuple[int, list[str]]:
    """The exit code and the lines of `python -m lab doctor`, after `before` has run in its process."""
    code = (
        f"import sys; {before}; import runpy; sys.argv[1:] = ['doctor']; runpy.run_module('lab', run_name='__main__')"
    )
    ended = subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stderr == ""
    return ended.returncode, ended.stdout.splitlines()


def test_a_sound_machine_gets_a_line_a_check_and_no_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setattr(doctor, "PORT", free.getsockname()[1])
    monkeypatch.setattr(doctor, "MEMORY", 0)
    for check in (
        doctor.python,
        doctor.packages,
        doctor.loop,
        doctor.loopback,
        doctor.port,
        doctor.memory,
        doctor.files,
    ):
        assert check().fix == ""


def test_an_old_python_is_told_which_to_install() -> None:
    code, lines = examined("sys.version_info = (3, 10, 13)")
    assert code == 1
    assert lines[0] == "FIX  Python: 3.10.13. Install one of Python 3.11 to 3.14, then `make lab PYTHON=python3.13`."


def test_without_any_package_it_still_runs_and_says_how_to_install() -> None:
    code, lines = examined("pass", "-S")
    assert code == 1
    assert lines[1].startswith("FIX  packages: packaging is missing. Run `make -B lab`, or install requirements.txt")


def test_missing_and_wrong_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = ['"httpx<0.20",', '"absent>=1", # why', """"pytest>=1; sys_platform != 'win32'","""]
    lines = ["[project]", "dependencies = [", *(f"    {line}" for line in listed), "]", 'name = "x"']
    (tmp_path / "pyproject.toml").write_text("\n".join(lines))
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    found = doctor.packages()
    assert found.found == f"httpx is {version('httpx')} and should be <0.20; absent is missing"
    assert found.fix == doctor.INSTALL


def test_a_patched_loop_is_told_to_restart() -> None:
    _, lines = examined("import nest_asyncio; nest_asyncio.apply()")
    assert "FIX  event loop: patched by nest_asyncio. Restart the kernel." in lines


def test_a_taken_port_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(doctor, "PORT", taken.getsockname()[1])
        assert doctor.port().fix.startswith("Stop that program, or")


def test_a_loopback_that_cannot_be_served_is_told_what_to_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "create_server", refuse)
    assert doctor.loopback() == (
        "servers",
        "127.0.0.1 cannot be served or reached (Operation not permitted)",
        "Let this Python listen on 127.0.0.1 in the firewall or sandbox",
    )


@pytest.mark.parametrize(("no_proxy", "healthy"), [("127.0.0.1,localhost", True), ("example.org", False)])
def test_a_proxy_for_everything_is_told_what_to_leave_out(
    no_proxy: str, healthy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example.org:3128")
    monkeypatch.setenv("no_proxy", no_proxy)
    assert ("NO_PROXY" not in doctor.proxy().fix) == healthy


def test_little_memory_is_told_how_much_to_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MEMORY", 1e6)
    assert "Close other programs until 1e+06 GiB are free" in doctor.memory().fix


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_low_limit_of_open_files_is_told_the_command() -> None:
    _, lines = examined("import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))")
    assert "FIX  open files: at most 256. Run `ulimit -n 4096` before `make lab`." in lines
