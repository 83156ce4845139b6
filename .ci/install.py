"""Installs packages into an environment of this folder: `python install.py STAMP ARGUMENTS`.

STAMP is a file in the environment's folder, written when all is done. ARGUMENTS are those of `uv pip install`.
uv is taken from the PATH, or else brought into the environment. Nothing outside its folder changes.
"""

import os
import shutil
import subprocess
import sys

OLDEST, TOO_NEW = (3, 11), (3, 15)


def main(stamp, arguments):
    if not OLDEST <= sys.version_info[:2] < TOO_NEW:  # an old Python reads this file too: keep its syntax plain
        age = "old" if sys.version_info < OLDEST else "new"
        fix = "install one of Python 3.11 to 3.14 and name it, as in `make lab PYTHON=python3.13`"
        sys.exit(f"Python {sys.version_info[0]}.{sys.version_info[1]} is too {age}: {fix}")
    folder = os.path.dirname(os.path.abspath(stamp))
    python = os.path.join(folder, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))
    uv = [shutil.which("uv")] if shutil.which("uv") else [python, "-m", "uv"]
    if not answers(python, ""):  # missing, or its Python is gone
        make_environment(folder, uv)
    if not shutil.which("uv") and not answers(python, "import uv"):
        answers(python, "import ensurepip; ensurepip.bootstrap()")  # an environment made by uv has no pip
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"]
        run(pip, "uv could not be installed: is the package index reachable? README.md shows the way without uv")
    run([*uv, "pip", "install", "--python", python, *arguments], "the packages were not installed: the reason is above")
    open(stamp, "w").close()


def make_environment(folder, uv):
    if os.path.isdir(folder) and os.listdir(folder) and not os.path.exists(os.path.join(folder, "pyvenv.cfg")):
        sys.exit(f"{folder} is not an environment: name another folder, as in VENV=.venv313")
    if len(uv) == 1:
        make = [*uv, "venv", "--quiet", "--clear", "--no-python-downloads", "--python", sys.executable, folder]
    elif answers(sys.executable, "import ensurepip, venv"):
        make = [sys.executable, "-m", "venv", "--clear", folder]
    else:
        sys.exit("this Python cannot make environments: install uv, or on Debian and Ubuntu `apt install python3-venv`")
    run(make, "no environment was made: the reason is above")


def answers(python, code):
    try:
        return subprocess.call([python, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def run(command, complaint):
    if subprocess.call(command):
        sys.exit(complaint)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
