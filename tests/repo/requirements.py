"""Says where the files that name Python versions and packages disagree. pyproject.toml is the one they follow."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

FILES = (
    "pyproject.toml",
    "requirements.txt",
    "requirements-dev.txt",
    "environment.yml",
    "Makefile",
    "README.md",
    ".ci/install.py",
    ".github/workflows/test.yml",
)
INDEX = re.compile(
    r"--(?:extra-)?index-url|--find-links|--trusted-host|https?://\S*(?:/simple\b|pypi|index)|tool\.uv\.index"
)


def read(root: Path) -> dict[str, str]:
    return {name: (root / name).read_text(encoding="utf-8") for name in FILES}


def pins(text: str) -> dict[str, list[Requirement]]:
    """The pins of a requirements file by name; a name has several where its version depends on the machine."""
    found: dict[str, list[Requirement]] = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            pin = Requirement(line)
            found.setdefault(canonicalize_name(pin.name), []).append(pin)
    return found


def disagreements(texts: Mapping[str, str]) -> Iterator[str]:
    for name, text in texts.items():
        if found := INDEX.search(text):
            yield f"{name} names a package index: {found[0]}"
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in texts[name].splitlines():
            if not re.fullmatch(r"[\w.-]+==[\w.]+(?: ; .+)?", line):
                yield f"{name} holds what is no pin: {line}"
                return
    project = tomllib.loads(texts["pyproject.toml"])
    yield from packages(project, pins(texts["requirements.txt"]), pins(texts["requirements-dev.txt"]))
    yield from pythons(project, texts)


def packages(
    project: Mapping[str, Any], learner: dict[str, list[Requirement]], dev: dict[str, list[Requirement]]
) -> Iterator[str]:
    for ranges, file, pinned in (
        (project["project"]["dependencies"], "requirements.txt", learner),
        (project["dependency-groups"]["dev"], "requirements-dev.txt", dev),
    ):
        for wanted in map(Requirement, ranges):
            versions = [next(iter(pin.specifier)).version for pin in pinned.get(canonicalize_name(wanted.name), [])]
            if not versions:
                yield f"{file} has no pin of {wanted.name}"
            for version in versions:
                if not wanted.specifier.contains(version, prereleases=True):
                    yield f"{file} pins {wanted.name} {version}; pyproject.toml asks for {wanted.specifier}"
    for name, pinned_here in learner.items():
        if {str(pin) for pin in dev.get(name, [])} != {str(pin) for pin in pinned_here}:
            yield f"requirements-dev.txt and requirements.txt differ in {name}"


def pythons(project: Mapping[str, Any], texts: Mapping[str, str]) -> Iterator[str]:
    wanted = SpecifierSet(project["project"]["requires-python"])
    admitted = [f"3.{minor}" for minor in range(30) if wanted.contains(f"3.{minor}")]
    oldest, newest = admitted[0], admitted[-1]
    after = f"(3, {int(newest.partition('.')[2]) + 1})"
    environment = yaml.safe_load(texts["environment.yml"])["dependencies"]
    conda = [one.removeprefix("python=") for one in environment if str(one).startswith("python=")]
    if len(conda) != 1 or conda[0] not in admitted:
        yield f"environment.yml asks for python={conda}; pyproject.toml admits {oldest} to {newest}"
    if environment[-1] != {"pip": ["-r requirements.txt"]}:
        yield "environment.yml does not install requirements.txt with pip, and that alone"
    matrix = yaml.safe_load(texts[".github/workflows/test.yml"])["jobs"]["test"]["strategy"]["matrix"]["python"]
    if matrix != [oldest, newest]:
        yield f"the workflow runs on Python {matrix}; the oldest and newest are {oldest} and {newest}"
    for file, words in {
        "Makefile": f"--universal --python-version {oldest} ",
        "README.md": f"Python {oldest} to {newest}",
        ".ci/install.py": f"OLDEST, TOO_NEW = ({oldest.replace('.', ', ')}), {after}",
        "pyproject.toml": f'target-version = "py{oldest.replace(".", "")}"',
    }.items():
        if words not in texts[file]:
            yield f"{file} does not say “{words}”; pyproject.toml admits {oldest} to {newest}"
