# make demo | test | drill | beauty DATA=... | serve      (README: what each does)
PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
CONSTRAINTS := constraints/cpu.txt
CONFIG ?= configs/demo.yaml
UNIT_WORKERS ?= 2
SYSTEM_WORKERS ?= 2

# Compiled DeepSpeed pieces stay in the venv; no model hub is asked for anything; Ray's token lives in memory only.
export TORCH_EXTENSIONS_DIR := $(CURDIR)/$(VENV)/torch_extensions
export HF_HUB_OFFLINE ?= 1
export RAY_USAGE_STATS_ENABLED := 0
export PYTHONUNBUFFERED := 1

# One compute thread a test process: several share the cores, and waiting threads would only spin.
test check unit reference system drill: export OMP_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo serve beauty docs test check unit reference system drill clean

help:
	@sed -n '/^## /s/^## //p' $(MAKEFILE_LIST)

## make setup    create .venv, install pinned versions, build DeepSpeed's compiled pieces
setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "semconv needs Python 3.11; run: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet -c $(CONSTRAINTS) torch==2.13.0 setuptools wheel
	$(PIP) install --quiet -c $(CONSTRAINTS) -e ".[offline]"
	$(PY) -m pipelines.prepare
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(PIP) install --quiet -c $(CONSTRAINTS) -e ".[offline,dev]"
	@touch $@

## make demo     the whole job on a built-in shop, then the service: one cached and one live answer
demo: setup
	$(PY) -m pipelines.run --config configs/demo.yaml
	$(PY) -m serve.demo --config configs/demo.yaml --serve.port 0 --serve.live_deadline_s 20

## make serve    start the service on the demo's artifacts (CONFIG=... for another run) and leave it running
serve: setup
	$(PY) -m serve.run --config $(CONFIG)

## make beauty DATA=DIR   the same job on Amazon Beauty
beauty: setup
	@test -n "$(DATA)" || { echo "say where the data is: make beauty DATA=/path/to/beauty"; exit 1; }
	$(PY) -m pipelines.run --config configs/beauty.yaml --corpus.path $(DATA)

## make docs     the pages of docs/ as a site in site/; a dead link is an error
docs: $(VENV)/.ready-dev # --quiet would silence the warnings that strict mode counts
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build

## make test     every check: lint, format, types, import contract, docs, unit, cluster and end-to-end tests
test: check docs unit reference system

check: $(VENV)/.ready-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

unit: $(VENV)/.ready-dev
	$(PY) -m pytest tests/unit -m "not data" -n $(UNIT_WORKERS) --dist loadfile

reference: $(VENV)/.ready-dev
	$(PY) -m pytest tests/unit -m data

system: $(VENV)/.ready-dev # both read one small shop, made once
	runs=$$(mktemp -d) && trap 'rm -rf "$$runs"' EXIT && export TEST_RUNS="$$runs" && \
		$(PY) -m pytest tests/cluster -n $(SYSTEM_WORKERS) --dist loadfile && \
		$(PY) -m pytest tests/e2e

## make drill    long fault drills (one to two hours on two cores; each file of tests/drill also runs alone)
drill: $(VENV)/.ready-dev
	$(PY) -m pytest tests/drill

## make clean    remove the virtual environment and caches; runs are kept
clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
