# One verb per habit; `make help` lists them. Each sets up what it needs, and a second time at once.
PYTHON ?= $(shell command -v python3 || command -v python || echo python3)
PORT ?= 8000
COUNTERSIGN_HOME ?= ./.countersign
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run test test-quick lint format bench docs lock clean setup setup-dev

help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r verb text; do printf '  make %-12s %s\n' "$$verb" "$$text"; done

run: setup ## serve everything in one process on http://localhost:8000 (PORT=n for another)
	@COUNTERSIGN_ENVIRONMENT=development COUNTERSIGN_HOME='$(COUNTERSIGN_HOME)' exec $(BIN)/countersign serve --port '$(PORT)'

test: setup-dev ## run every test; what cannot run here says why
	@$(BIN)/python tools/browser.py
	@exec $(BIN)/python -m pytest $(ARGS)

test-quick: setup-dev ## run the tests that need no peer and no patience
	@exec $(BIN)/python -m pytest -m 'not (postgres or browser or slow or peers)' $(ARGS)

lint: setup-dev ## check style, format, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy $(wildcard src tests bench tools examples)
	$(BIN)/lint-imports

format: setup-dev ## put the code into its format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: setup-dev ## measure, and write bench/results.md
	@exec $(BIN)/python -m bench $(ARGS)

docs: setup-dev ## hold the documents against the program
	@exec $(BIN)/python -m pytest tests/test_docs.py $(ARGS)

lock: setup-dev ## lock requirements/*.in anew, with hashes (ARGS=--upgrade for newer versions)
	@$(PYTHON) tools/lock.py $(ARGS)

clean: ## remove what was built (not .countersign, which holds data)
	@rm -rf .venv .tools .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache node_modules build dist
	@find src tests bench tools -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

setup:
	@$(PYTHON) tools/bootstrap.py run

setup-dev:
	@$(PYTHON) tools/bootstrap.py dev
