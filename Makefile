# One line of help per target; `make` alone prints them.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3.10 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup run test fast lint format docs lock clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || { echo "Python 3.10-3.13 is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv

$(STAMP).run: requirements/run.txt pyproject.toml | $(BIN)/python
	$(BIN)/python scripts/install.py requirements/run.txt
	@touch $@

$(STAMP).dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	$(BIN)/python scripts/install.py requirements/dev.txt
	@touch $@ $(STAMP).run

setup: $(STAMP).dev ## Create .venv with everything, tools included

run: $(STAMP).run ## Set up and start the server on http://127.0.0.1:7860
	$(BIN)/whisperapi serve

test: $(STAMP).dev ## Set up, then lint, check types and run every test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

fast: $(STAMP).dev ## Run the tests that need no model and no vendor client
	$(BIN)/python -m pytest -m "not model and not compat"

lint: $(STAMP).dev ## Check style and types only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP).dev ## Rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP).dev ## Write the generated tables of docs/ again
	$(BIN)/python -m scripts.write_docs

lock: $(STAMP).dev ## Resolve requirements/*.txt again from pyproject.toml
	$(BIN)/python scripts/lock.py

clean: ## Remove the environment and caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
