# What a person or a CI run does here, a target each. Every target works alone on a fresh clone.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help run lab test lint test-unit test-fuzz test-notebooks test-browser notebooks notebooks-in-lab bench faults clean distclean

VENV := .venv
BIN := $(VENV)/bin
# The first Python of 3.11 or later; looked for only when the environment is made.
PYTHON ?= $(shell for p in python3.11 python3; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && echo $$p && break; done)
# Who has the test environment needs no other one.
READY := $(firstword $(wildcard $(VENV)/installed-test) $(VENV)/installed-notebook)

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

run: $(READY)  ## install, run the quickstart, print its result and where to read it
	@$(BIN)/python scripts/notebooks.py run notebooks/00_quickstart.ipynb

lab: $(READY)  ## open the notebooks in JupyterLab; OPTIONS="--port 9000" and the like are passed on
	$(BIN)/jupyter lab notebooks $$([ "$$(id -u)" = 0 ] && echo --allow-root) $(OPTIONS)

test: lint test-unit test-fuzz test-notebooks test-browser  ## everything that must hold, fastest first

lint: $(VENV)/installed-test  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy scripts

test-unit: $(VENV)/installed-test  ## unit tests and the examples in docstrings
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --doctest-modules tests nbtune

test-fuzz: $(VENV)/installed-test  ## hostile bundles for a minute
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m fuzz tests/test_fuzz.py

test-notebooks: $(VENV)/installed-test  ## run every notebook; compare the outputs that must be stable
	$(BIN)/python scripts/notebooks.py check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m notebooks tests/test_own_data_lessons.py tests/test_lessons.py tests/test_binder.py
	$(BIN)/python scripts/notebooks.py test

test-browser: $(VENV)/installed-test  ## drive a real JupyterLab in Chromium
	$(BIN)/python -m pytest -m browser tests/browser

faults: $(VENV)/installed-test  ## long fault tests: kills, interrupts, hostile files, soak; their table anew
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m faults -rP tests
	$(BIN)/python scripts/faults_table.py write

notebooks: $(READY)  ## execute all notebooks and store their outputs in a normal form
	$(BIN)/python scripts/notebooks.py store

notebooks-in-lab: $(VENV)/installed-test  ## Restart & Run All of every notebook in JupyterLab; pictures in runs/screenshots
	$(BIN)/python -m pytest -m lab tests/browser/test_notebooks_in_lab.py

bench: $(VENV)/installed-bench  ## each benchmark prints its ratio against a named peer
	for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file; done

clean:  ## remove what runs and tests left behind
	rm -rf runs build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean  ## the same, and the environment
	rm -rf $(VENV)

$(BIN)/python:
	$(or $(PYTHON),$(error nbtune needs Python 3.11 or later; name yours with: make PYTHON=/path/to/python3))\
	 -m venv $(VENV)

# One rule for the extras `notebook`, `test` and `bench`; pip runs again only when one of the two files changed.
$(VENV)/installed-%: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing nbtune[$*] into $(VENV): the first time about 7 GB, a few minutes."
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[$*]'
	touch $@
