# The project's commands; `make` alone lists them. Everything goes into .venv, nothing into the system, but `make install`.
# PYTHON is what .venv is made with, and what `make install` runs under.

SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test test-live soak bench lint format install uninstall clean tools
.NOTPARALLEL:

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## See it work: a switch, calls, a subscriber; 100 events (ARGS=--forever: until Ctrl-C)
	@$(PYTHON) -B -m tools.run_demo $(ARGS)

test: lint ## Lint, then all tests: under the distribution's Python and with the newest packages (ARGS=…: for pytest)
	@$(BIN)/python -m tools.run_tests $(ARGS)

test-live: tools ## Only the tests against a real FreeSWITCH (on PATH, or FREESWITCH=/path/to/bin/freeswitch)
	@command -v "$${FREESWITCH:-freeswitch}" >/dev/null || \
	  { echo "No FreeSWITCH: put it on PATH, or say FREESWITCH=/path/to/bin/freeswitch" >&2; exit 2; }
	@$(BIN)/python -m pytest -m "live and not soak" $(ARGS)

soak: tools ## The tests that take minutes
	@$(BIN)/python -m pytest -m soak --timeout 3600 $(ARGS)

bench: tools ## Measure: each program in benchmarks/, one after the other (minutes; needs a real FreeSWITCH)
	@for file in benchmarks/[a-z]*.py; do \
	  echo "== $$file"; $(BIN)/python -m "benchmarks.$$(basename "$$file" .py)" || exit; \
	done

lint: tools ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mypy --python-version 3.10 tests
	@$(BIN)/lint-imports

format: tools ## Let ruff format and mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

install: ## Put the module on this machine's switch (FREESWITCH_SCRIPTS=, FREESWITCH_CONF=, DESTDIR=)
	@$(PYTHON) -B -m tools.install

uninstall: ## Take away what `make install` put there
	@$(PYTHON) -B -m tools.install --uninstall

clean: ## Take away what the commands made here
	@rm -rf .venv .venv-debian build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# At once when .venv is as pyproject.toml has it.
tools:
	@$(PYTHON) -B -m tools.setup_venv .venv test dev
