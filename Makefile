# git, make and Python 3.11 or newer are all that is needed; everything is installed into VENV.
ifeq ($(OS),Windows_NT)
PYTHON ?= python
BIN = $(VENV)/Scripts
else
PYTHON ?= python3
BIN = $(VENV)/bin
endif
VENV ?= .venv
UV = $(shell $(PYTHON) -c "import shutil; print('uv' if shutil.which('uv') else '$(BIN)/python -m uv')")
COMPILE = $(UV) pip compile pyproject.toml --universal --python-version 3.11 --no-annotate --no-header --quiet

define HELP
make lab         install and open the first chapter in JupyterLab; ARGS="--no-browser --port 8899" are passed to it
make test        install and run every test and every notebook; ARGS="notebooks/00_start_here.ipynb" for some of them
make lint        check style, types, imports, spelling and the workflow
make refresh     run every notebook and store its outputs; ARGS="notebooks/00_start_here.ipynb" for some of them
make bench       compare with peers, side by side
make screenshot  take the picture of README.md anew, with Chromium
make pins        compile requirements*.txt from pyproject.toml; ARGS=--upgrade for the newest
make newest      install the newest releases that pyproject.toml admits, whatever is pinned

PYTHON=python3.13 chooses the Python, VENV=.venv313 the folder of its environment.
endef

.PHONY: help lab test lint refresh bench screenshot pins newest
help:
	$(info $(HELP))@cd .

lab: $(VENV)/lab.stamp
	$(BIN)/python -m jupyterlab --ServerApp.root_dir=. notebooks/00_start_here.ipynb $(ARGS)

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/test.stamp
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/python -m mypy app_snippets/deployment/gunicorn.conf.py
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell
	$(BIN)/actionlint

refresh: $(VENV)/test.stamp
	$(BIN)/python -m tests.repo.refresh $(ARGS)

bench: $(VENV)/test.stamp
	$(BIN)/python -m benchmarks $(ARGS)

screenshot: $(VENV)/test.stamp
	$(BIN)/python -m tests.browser.screenshot

pins: $(VENV)/test.stamp
	$(COMPILE) --output-file requirements.txt $(ARGS)
	$(COMPILE) --output-file requirements-dev.txt --group dev --constraint requirements.txt $(ARGS)

newest: $(VENV)/test.stamp
	$(PYTHON) .ci/install.py $(VENV)/test.stamp --upgrade -r pyproject.toml --group dev

$(VENV)/lab.stamp: requirements.txt
	$(PYTHON) .ci/install.py $@ -r $<

$(VENV)/test.stamp: requirements-dev.txt
	$(PYTHON) .ci/install.py $@ -r $<
