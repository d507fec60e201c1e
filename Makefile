# Every target does its own set-up: a machine needs Python 3.11 or 3.12 and make, nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= $(shell for p in python3.11 python3.12 python3 python; do $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-$(shell cat requirements/dev.txt pyproject.toml | cksum | cut -d' ' -f1)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(READY) ## Install everything into .venv, once

$(READY): requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Ballast needs Python 3.11 or 3.12; name one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: demo
demo: $(READY) ## Run the main job on embedded parts: market, users and exchange simulated (Ctrl-C stops it)
	$(BIN)/ballast demo

NOTEBOOK ?= daily_audit
.PHONY: notebook
notebook: $(READY) ## Open a notebook over the small archive, on loopback: NOTEBOOK=incident, hedging_month or month_end
	$(BIN)/marimo edit notebooks/$(NOTEBOOK).py --host 127.0.0.1 --skip-update-check $(if $(BROWSER)$(DISPLAY)$(WAYLAND_DISPLAY),,$(if $(filter Darwin,$(shell uname)),,--headless))

# Each process has a broker and a Postgres of its own; a file is run by one of them.
JOBS ?= 2
.PHONY: test
test: $(READY) ## Run the tests, on embedded Postgres and broker; JOBS=N at a time
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: check
check: $(READY) ## Format, lint, types, arrows between layers, generated files unchanged
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/ballast schemas --check

.PHONY: format
format: $(READY) ## Format the code and write the generated files anew
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/ballast schemas

.PHONY: bench
bench: $(READY) ## Measure: the ledger beside raw COPY, and user trades end to end (ten minutes)
	$(BIN)/ballast bench posting
	$(BIN)/ballast bench end-to-end

.PHONY: lock
lock: $(READY) ## Resolve the dependencies anew into requirements/
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --no-header --extra embedded --output-file requirements/run.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --no-header --extra embedded --extra notebooks --extra dev --output-file requirements/dev.txt pyproject.toml

.PHONY: clean
clean: ## Remove what was installed and what the demo left
	rm -rf $(VENV) ballast-data .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
