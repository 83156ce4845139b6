"""What pytest and nbval need to know about the notebooks."""

import os
import sys
import tempfile
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    folder = tempfile.TemporaryDirectory(prefix="progress-")
    config.add_cleanup(folder.cleanup)
    os.environ["LAB_PROGRESS"] = str(Path(folder.name, "progress.txt"))  # the learner's own file is never touched
    if sys.platform != "win32":  # as JupyterLab does for its kernels: macOS gives a program only 256 open files
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if 0 <= soft < 4096 and (hard < 0 or hard >= 4096):
            resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))


def pytest_collectstart(collector: pytest.Collector) -> None:
    if hasattr(collector, "skip_compare"):  # a notebook: figures and warnings differ between machines, words do not
        collector.skip_compare += ("text/html", "stderr")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if hasattr(item.parent, "skip_compare"):  # each notebook starts with nothing solved
        name = f"{item.path.parent.name}-{item.path.stem}.txt"
        os.environ["LAB_PROGRESS"] = str(Path(os.environ["LAB_PROGRESS"]).with_name(name))
