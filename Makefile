# One verb per habit; `make help` lists them. Each sets up what it needs, and a second time at once.
ifndef PYTHON
PYTHON := $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
  $$name -c 'import sys; sys.version_info < (3, 11) and sys.exit(1); print(sys.executable)' 2>/dev/null && break; done)
endif
PORT ?= 8000
COUNTERSIGN_HOME ?= ./.countersign
BIN := .venv/bin
# Python keeps its bytecode even where the environment forbids it: the second start is a quick one.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help python run test test-quick coverage lint format bench docs shots lock sbom mutants clean setup setup-dev

help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r verb text; do printf '  make %-12s %s\n' "$$verb" "$$text"; done

run: setup ## serve on http://localhost:8000 (PORT=n for another), and on the next port a shop that uses it
	@COUNTERSIGN_ENVIRONMENT=development COUNTERSIGN_HOME='$(COUNTERSIGN_HOME)' exec $(BIN)/python tools/run.py '$(PORT)'

test: setup-dev ## run every test (ARGS=tests/web for some); what cannot run here says why
	@$(BIN)/python tools/browser.py
	@exec $(BIN)/python -m pytest -n auto $(ARGS)

coverage: setup-dev ## run the tests in process, and measure what of the program they ran (build/coverage/html)
	@export COVERAGE_CORE=$$($(BIN)/python -c 'import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")'); \
	exec $(BIN)/python -m pytest -n logical -m 'not (program or browser or slow or peers)' --cov --cov-report=html $(ARGS)

# What waits in real time, opens the whole application for each test, carries out (keeps, sends, renders) what was decided, or judges the
# checkout rather than the program.
PATIENT := durability journeys examples migrations cli providers threats web store messages domain/look flows/maintenance flows/delivery \
  flows/oidc flows/test_worker.py $(patsubst tests/%,%,$(wildcard tests/test_*.py))

test-quick: setup-dev ## run the tests of what the program decides: they need no peer, no process and no patience
	@PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 exec $(BIN)/python -m pytest -p xdist.plugin -p pytest_asyncio.plugin -p pytest_timeout -p _hypothesis_pytestplugin \
	  -n logical --hypothesis-profile=quick -m 'not (program or postgres or browser or slow or peers)' \
	  $(foreach place,$(PATIENT),--ignore=tests/$(place)) $(ARGS)

mutants: setup-dev ## put faults into a copy of the checkout, and say which no test notices (ARGS='--room keys' for some)
	@exec $(BIN)/python -m tools.mutate $(ARGS)

lint: setup-dev ## check style, format, types and layers
	@status=0; \
	$(BIN)/ruff check || status=1; \
	$(BIN)/ruff format --check || status=1; \
	$(BIN)/mypy $(wildcard src tests bench tools examples) || status=1; \
	$(BIN)/lint-imports || status=1; \
	exit $$status

format: setup-dev ## put the code into its format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: setup-dev ## measure, and write bench/results.md
	@exec $(BIN)/python -m bench $(ARGS)

docs: setup-dev ## build the documents as a site in build/site, and hold them against the program
	@$(BIN)/python tools/docs_site.py
	@exec $(BIN)/python -m pytest tests/test_docs.py tests/test_site.py $(ARGS)

shots: setup-dev ## take a picture of every page into build/shots (ARGS='inbox dark' for some)
	@$(BIN)/python tools/browser.py
	@PYTHONPATH=. exec $(BIN)/python -m tools.shots $(ARGS)

lock: setup-dev ## lock requirements/*.in anew, with hashes (ARGS=--upgrade for newer versions)
	@$(BIN)/python tools/lock.py $(ARGS)

sbom: python ## write what the program is made of into build/sbom.cdx.json (CycloneDX)
	@'$(PYTHON)' tools/sbom.py

clean: ## remove what was built (not .countersign, which holds data)
	@rm -rf .venv .tools .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache node_modules build dist
	@find src tests bench tools -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

setup: python
	@'$(PYTHON)' tools/bootstrap.py run

setup-dev: python
	@'$(PYTHON)' tools/bootstrap.py dev

python:
ifeq ($(PYTHON),)
	@echo "Countersign needs Python 3.11 or later, and none is on PATH (python3 is: $$(python3 --version 2>&1 || true))." >&2
	@echo "Install one (Debian, Ubuntu: apt-get install python3 python3-venv; macOS: brew install python)," >&2
	@echo "or name the one you have: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2
	@exit 1
endif
	@:
