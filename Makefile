# Everything a person does with a checkout of Eyrie. `make help` lists it; needs Python 3.11 to 3.14, make and git.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
# What the pinned Ray has wheels for; `requires-python` says the same, and a test holds the two together.
SUPPORTED := (3, 11) <= sys.version_info[:2] <= (3, 14)
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not ($(SUPPORTED)))' 2>/dev/null && { echo $$p; break; }; done)
# Only wheels, so that no compiler is needed, and only those whose hashes are locked.
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes --only-binary :all:

.PHONY: help install install-dev peers validators up test lint types tests coverage prove mutants console wheel locks docs format clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Eyrie needs Python 3.11 to 3.14; none was found. Name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not ($(SUPPORTED)))' || { \
		echo "Eyrie needs Python 3.11 to 3.14, and $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -B tools/check_room.py
	@rm -rf $(VENV)
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.run: requirements/run.lock pyproject.toml | $(BIN)/python
	@echo "installing what Eyrie runs on (requirements/run.lock)"
	@$(PIP_INSTALL) -r requirements/run.lock
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-build-isolation --no-deps --no-index --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.run
	@echo "installing what tests need (requirements/dev.lock)"
	@$(PIP_INSTALL) -r requirements/dev.lock
	@touch $@

install: $(VENV)/.run ## make .venv with .venv/bin/eyrie

install-dev: $(VENV)/.dev ## the same with what tests need

peers: install-dev ## what `bench peers` compares with: python-socketio, Django Channels, and (with Go) a NATS server and Centrifugo
	@$(PIP_INSTALL) -r requirements/peers.lock
	@command -v go >/dev/null || echo "no Go: NATS and Centrifugo will be reported as absent" >&2
	@command -v go >/dev/null && for module in github.com/nats-io/nats-server/v2@$(NATS_VERSION) github.com/centrifugal/centrifugo/v6@$(CENTRIFUGO_VERSION); do \
		GOBIN="$(CURDIR)/.tools/peers" CGO_ENABLED=0 GOFLAGS=-mod=mod go install $$module || echo "$$module cannot be had: it will be reported as absent" >&2; \
	done; true
	@echo "for the bench: NATS_SERVER_BINARY=$(CURDIR)/.tools/peers/nats-server CENTRIFUGO_BINARY=$(CURDIR)/.tools/peers/centrifugo"

console: install ## build the web console into hub/static (only when its sources changed)
	@$(BIN)/python tools/build_console.py

validators: install ## packages of JavaScript that tests run: Redocly, the AsyncAPI parser, the stock Centrifuge client
	@$(BIN)/python -m tools.install_validators

up: install console ## start everything and stream the built-in site (ARGS="--port 9000" passes options on)
	@exec $(BIN)/eyrie up $(ARGS)

NATS_VERSION := v2.15.2
CENTRIFUGO_VERSION := v6.9.1
BENCHES = $(shell $(BIN)/python -c 'from load_tests.__main__ import BENCHES; print(*sorted(BENCHES))')

# As many processes as cores share the tests out, as tests/conftest.py says.
SHARED := --numprocesses auto --dist loadscope --no-loadscope-reorder
# Tests start some hundred processes: none compiles anew what the one before it did.
KEPT := env -u PYTHONDONTWRITEBYTECODE

test: lint types tests ## every check and test but `prove`; at most 20 minutes on 2 cores

lint: install-dev ## formatter, linter, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: install-dev ## strict types of code and tests
	$(BIN)/mypy

tests: install-dev console validators ## the tests
	$(KEPT) $(BIN)/python -m pytest $(SHARED) $(ARGS)

coverage: install-dev console validators ## the tests, and which lines of code none of them ran; takes twice as long
	$(KEPT) $(BIN)/python -m pytest $(SHARED) --cov --cov-report term:skip-covered $(ARGS)

prove: install-dev console ## everything that the product promises to show, however long it takes
	$(BIN)/python -m pytest -m prove --timeout 3600 $(ARGS)
	$(BIN)/python -m pytest tests/property tests/unit --hypothesis-profile others
	$(BIN)/python -m tools.odd_times
	$(BIN)/python -m tools.mutants
	$(BIN)/python -m load_tests run faults
	@for bench in $(BENCHES); do echo "bench $$bench"; $(BIN)/python -m load_tests bench $$bench || exit 1; done

mutants: install-dev console ## break the promises of tests/mutants one by one, in copies: each must turn a test red (ARGS="hub" for a part)
	$(BIN)/python -m tools.mutants $(ARGS)

wheel: install console ## build dist/*.whl: the product with the console inside, the client for devices, and the consumer of streams
	@rm -rf build dist
	$(BIN)/python -m pip wheel --disable-pip-version-check --quiet --no-build-isolation --no-deps --no-index --wheel-dir dist .
	@$(BIN)/python -m tools.build_edge_wheel dist >/dev/null
	@$(BIN)/python -m tools.build_consume_wheel dist >/dev/null
	@ls dist

docs: install-dev ## write the generated pages of docs/ anew
	$(BIN)/python -m tools.settings_page docs/settings.md
	$(BIN)/python -m tools.routes_page docs/routes.md

format: install-dev ## format, and mend what the linter can mend
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

$(VENV)/.lock: requirements/lock.lock | $(BIN)/python
	@$(PIP_INSTALL) -r requirements/lock.lock
	@touch $@

UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-header \
	--annotation-style line --custom-compile-command "make locks"

locks: $(VENV)/.lock ## resolve requirements/*.lock anew (UPGRADE=--upgrade takes newer indirect ones)
	$(UV_COMPILE) $(UPGRADE) pyproject.toml requirements/build.in -o requirements/run.lock
	$(UV_COMPILE) $(UPGRADE) pyproject.toml --extra dev requirements/build.in -c requirements/run.lock -o requirements/dev.lock
	$(UV_COMPILE) $(UPGRADE) requirements/peers.in -c requirements/dev.lock -o requirements/peers.lock
	$(UV_COMPILE) $(UPGRADE) requirements/node.in -o requirements/node.lock
	$(UV_COMPILE) $(UPGRADE) requirements/lock.in -o requirements/lock.lock

clean: ## remove what was built and cached
	rm -rf build dist *.egg-info hub/static tests/output load_tests/output .coverage .coverage.* htmlcov .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

distclean: clean ## also remove what was installed
	rm -rf $(VENV) .tools console/node_modules tools/validators/node_modules tests/integration/hub/js/node_modules
