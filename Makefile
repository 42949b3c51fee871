# Everything runs from .venv, which `make setup` makes from nothing but Python 3.11. `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# Made anew when the dependencies change, or when the Python that .venv was made with has gone.
STAMP := .venv/.setup-done
SOURCES := protocol api router operator gateway local command tests benchmarks charts examples

.PHONY: help setup runtime test demo lint format bench crds constraints clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: ## make .venv with the command openclaw-tenancy in it (about 20 s the first time)
	@if ! $(BIN)/python -c 'pass' 2>/dev/null; then rm -f $(STAMP); fi
	@$(MAKE) --silent $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'setup: needs Python 3.11 or newer; say which with make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@echo "setup: .venv with $$($(PYTHON) --version), packages as constraints.txt pins them"
	@$(BIN)/python -c 'pass' 2>/dev/null || $(PYTHON) -m venv --clear .venv \
	  || { echo 'setup: Python has no venv module; on Debian: apt install python3-venv' >&2; exit 1; }
	@# uv is five times as quick; pip knows more ways to be configured (pip.conf), so it has the last word.
	@$(PIP) uv && $(BIN)/uv pip install --quiet --python .venv --constraint constraints.txt --editable '.[dev]' 2>/dev/null \
	  || $(PIP) --editable '.[dev]'
	@touch $(STAMP)
	@echo 'setup: done; the command is .venv/bin/openclaw-tenancy'

runtime: setup ## have upstream's OpenClaw in ~/.cache/openclaw-tenancy (about a minute the first time)
	@$(BIN)/openclaw-tenancy runtime install openclaw

test: setup runtime ## all tests; `make test ARGS='tests/router -k hold'` for some
	$(BIN)/pytest $(ARGS)

demo: setup ## two tenants on this machine, asleep, woken, kept apart; no keys needed
	@$(BIN)/python -m openclaw_tenancy.demo

lint: setup ## ruff, mypy --strict, the layers
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	@# What `exclude` in pyproject.toml leaves out of the first run: it is not asked about files that are named one by one.
	for tests in contract gateway local operator router; do find tests/$$tests -name '*.py' | xargs $(BIN)/mypy; done
	$(BIN)/lint-imports

format: setup ## ruff format and its safe fixes
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: setup ## every benchmark, one after the other (`python benchmarks/NAME.py --json FILE` runs one)
	@for program in benchmarks/*.py; do echo "== $$program"; $(BIN)/python "$$program"; done

crds: setup ## write the CRDs anew from the models (crds/, and the chart's copy)
	@$(BIN)/python -m tenant_api.crd crds charts/openclaw-tenancy/files/crds

constraints: setup ## pin the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
	  --no-emit-index-url --no-annotate --no-header --quiet --output-file constraints.txt

clean: ## remove .venv and the tools' caches; the runtime cache stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

include make/cluster.mk
