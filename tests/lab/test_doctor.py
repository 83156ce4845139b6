"""The doctor names one fix for each thing that is broken, and runs where nearly everything is."""

import ast
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from lab import doctor

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def examined(
    *arguments: str, before: str = "pass", python: str = sys.executable, **environment: str
) -> tuple[int, list[str]]:
    """The exit code and the lines of `python -m lab doctor`, after `before` has run in its process."""
    code = (
        f"import sys; {before}; import runpy; sys.argv[1:] = sys.argv[2:]; runpy.run_module('lab', run_name='__main__')"
    )
    ended = subprocess.run(
        [python, "-c", code, "-", "doctor", *(arguments or ["--port", str(free_port())])],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stderr == ""
    return ended.returncode, ended.stdout.splitlines()


def found(check: str, before: str) -> doctor.Finding:
    """What one check finds, after `before` has run in its process."""
    code = f"{before}; from lab import doctor; print(list(doctor.{check}()))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return doctor.Finding(*ast.literal_eval(ended.stdout))


def line(lines: list[str], what: str) -> str:
    (found,) = [line for line in lines if line[6:].startswith(what + ":")]
    return found


def test_a_sound_machine_gets_a_line_a_check_and_no_fix() -> None:
    code, lines = examined()
    names = (
        "Python",
        "packages",
        "kernel",
        "event loop",
        "server",
        "JupyterLab",
        "proxy",
        "open files",
        "memory",
        "cores",
    )
    assert [re.split("  +|:", line)[1] for line in lines] == list(names)
    assert not [line for line in lines if line.startswith("FIX")]
    assert code == 0
    assert line(lines, "server") == "ok    server: FastAPI on 127.0.0.1 answers 200"


def python_named(version: str) -> str:
    """A Python of that version that this machine happens to have."""
    installed = Path.home().glob(f".pyenv/versions/{version}.*/bin/python")
    for path in (shutil.which(f"python{version}"), *map(str, installed)):
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return path
    pytest.skip(f"this machine has no Python {version}")


@pytest.mark.parametrize("old", ["3.8", "3.9", "3.10"])
def test_an_old_python_is_told_which_to_take(old: str) -> None:
    code, (only,) = examined(python=python_named(old))
    assert code == 1
    assert re.match(rf"FIX   Python: {old}\.\d+ is not one of 3\.11 to 3\.14; fix: ", only)
    assert re.search(r"make lab PYTHON=python3\.1[1-4]$", only)


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 15, 0)])
def test_a_python_out_of_the_range_is_told_where_to_get_one(version: tuple[int, ...], tmp_path: Path) -> None:
    code, (only,) = examined(before=f"sys.version_info = {version}", PATH=str(tmp_path))
    assert code == 1
    assert only == (
        f"FIX   Python: {'.'.join(map(str, version))} is not one of 3.11 to 3.14; "
        "fix: install Python 3.11 to 3.14 from python.org, then make lab PYTHON=python3.14"
    )


# What an environment looks like in which a package was never installed
WITHOUT = """
import importlib.metadata, sys
class Missing:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {gone} else self.finder.find_spec(name, path, target)
sys.meta_path[:] = map(Missing, sys.meta_path)
found = importlib.metadata.version
def version(name):
    if name in {gone}:
        raise importlib.metadata.PackageNotFoundError(name)
    return found(name)
importlib.metadata.version = version
"""


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    code, lines = examined(before=f"exec({WITHOUT.format(gone=['fastapi', 'psutil'])!r})")
    assert code == 1
    for what, found in [
        ("packages", "missing fastapi, psutil"),
        ("server", "fastapi is missing"),
        ("memory", "psutil is missing"),
    ]:
        assert line(lines, what).startswith(f"FIX   {what}: {found}; fix: ")
    command = shlex.split(line(lines, "packages").partition("; fix: ")[2])
    assert command[-2:] == ["-r", "requirements.txt"]
    assert sys.executable in command


def test_without_any_package_and_any_environment_nothing_global_is_proposed(tmp_path: Path) -> None:
    (tmp_path / "make").touch(mode=0o755)
    (tmp_path / "make.exe").touch(mode=0o755)
    gone = [name.replace("-", "_") for name in doctor.ranges()] + list(doctor.ranges()) + ["jupyter_client", "pip"]
    before = f"exec({WITHOUT.format(gone=gone)!r}); sys.prefix = sys.base_prefix"
    code, lines = examined(before=before, PATH=str(tmp_path), CONDA_PREFIX="")
    assert code == 1
    assert line(lines, "packages") == f"FIX   packages: missing {', '.join(doctor.ranges())}; fix: make lab"


def test_a_wrong_package_is_named_and_an_untested_one_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "ROOT", tmp_path)

    def compared(*listed: str) -> doctor.Finding:
        text = ["[project]", "dependencies = [", *(f"    {line}" for line in listed), "]", 'name = "x"']
        (tmp_path / "pyproject.toml").write_text("\n".join(text))
        return doctor.packages()

    pins = ["httpx==0.1", "pytest==0.1 ; python_full_version < '3.12'", "pytest==0.2 ; python_full_version >= '3.12'"]
    (tmp_path / "requirements.txt").write_text("\n".join(pins))
    wrong = compared('"httpx<0.20",', """"pytest>=1; sys_platform != 'x'", # why""")
    assert wrong.found == f"httpx is {version('httpx')} and was tested as 0.1"
    assert (wrong.fix, wrong.must) == (doctor.install(), True)
    note = compared('"pytest>=1",')
    assert note.found == f"pytest is {version('pytest')} and was tested as 0.1 or 0.2"
    assert (note.fix, note.must) == (doctor.install(), False)


def test_a_kernel_of_another_python_is_removed_by_the_command_that_is_named(tmp_path: Path) -> None:
    spec = tmp_path / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    argv = ["/usr/bin/another-python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}))
    code, lines = examined(JUPYTER_PATH=str(tmp_path))
    assert code == 1
    seen, _, fix = line(lines, "kernel").partition("; fix: ")
    assert seen == "FIX   kernel: python3 is another Python, /usr/bin/another-python"
    subprocess.run(shlex.split(fix), env={**os.environ, "JUPYTER_PATH": str(tmp_path)}, check=True, capture_output=True)
    assert found("kernel", before=f"import os; os.environ['JUPYTER_PATH'] = {str(tmp_path)!r}").fix == ""


def test_a_patched_loop_is_told_to_restart() -> None:
    patched = found("loop", before="import nest_asyncio; nest_asyncio.apply()")
    assert patched == ("event loop", "patched by nest_asyncio", "restart the kernel", True)


def test_a_taken_port_is_a_note_that_names_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, lines = examined("--port", str(port))
    told = re.fullmatch(
        rf'note  JupyterLab: port {port} is taken; fix: make lab ARGS="--port (\d+)"', line(lines, "JupyterLab")
    )
    assert told
    assert doctor.is_free(int(told[1]))
    assert code == 0


def test_a_loopback_that_cannot_be_served_is_told_what_to_allow() -> None:
    refuse = "import socket; socket.socket.bind = lambda *_: (_ for _ in ()).throw(PermissionError(1, 'no'))"
    code, lines = examined(before=refuse)
    assert code == 1
    assert line(lines, "server").startswith("FIX   server: FastAPI on 127.0.0.1 does not answer (")
    assert line(lines, "server").endswith("; fix: " + doctor.FIREWALL)


@pytest.mark.parametrize(("no_proxy", "healthy"), [("127.0.0.1,localhost", True), ("example.org", False)])
def test_a_proxy_for_everything_is_told_what_to_leave_out(
    no_proxy: str, healthy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example.org:3128")
    monkeypatch.setenv("no_proxy", no_proxy)
    assert ("NO_PROXY" not in doctor.proxy().fix) == healthy


def test_little_memory_is_told_how_much_to_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MEMORY", 1e6)
    assert doctor.memory().fix == "close other programs until 1e+06 GiB are free"


def test_a_single_core_is_a_note() -> None:
    single = found("cores", before="import os; os.sched_getaffinity = lambda _: [0]; os.cpu_count = lambda: 1")
    assert single.found == "one, so a load and its server take turns"
    assert (single.fix, single.must) == ("give this machine two cores", False)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_low_limit_of_open_files_is_told_the_command() -> None:
    code, lines = examined(before="import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))")
    assert line(lines, "open files") == "FIX   open files: at most 64; fix: ulimit -n 4096"
    assert code == 1
    soft = "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (64, r.getrlimit(r.RLIMIT_NOFILE)[1]))"
    assert found("files", before=soft).fix == ""  # it can be raised


@pytest.mark.parametrize(
    "arguments", [[], ["nurse"], ["doctor", "--port"], ["doctor", "--port", "x"], ["doctor", "--port", "1", "2"]]
)
def test_an_unknown_command_is_a_line_of_usage(arguments: list[str]) -> None:
    ended = subprocess.run([sys.executable, "-m", "lab", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr == "usage: python -m lab doctor [--port 8888]\n"
