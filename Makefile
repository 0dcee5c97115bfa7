# Everything that people and CI run. `make` alone lists it.
#
# A machine needs Python 3.11 or newer, git and make; the rest is installed into folders of this
# checkout, from the locked requirements. Each environment has a stamp, so it is built again only
# when its lock changes.

PYTHON ?= python3
PYTEST_FLAGS ?= -n 2

VENV := .venv
WHEEL_VENV := .venv-wheel
BENCH_VENV := .venv-bench
BIN := $(VENV)/bin
WHEEL_FOLDER := build/wheel
WHEEL_TESTS := tests/docs tests/integration tests/unit/cli tests/unit/tracing tests/unit/test_*.py \
	tests/unit/proof/test_proving.py

PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-input
LOCKED := $(PIP_INSTALL) --require-hashes --requirement
UV_COMPILE := $(BIN)/uv --no-config pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" $(UPGRADE) pyproject.toml

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- environments ---------------------------------------------------------------------------

.PHONY: install
install: $(VENV)/.installed ## Build .venv from the locked requirements and install Whence in it

.PHONY: python
python:
	@command -v $(PYTHON) >/dev/null || { \
		echo "make: no $(PYTHON) here; Whence needs Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: $$($(PYTHON) --version) is too old; Whence needs Python 3.11 or newer." \
			"Name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }

# --clear: what a lock no longer names must be gone.
$(VENV)/.locked: requirements-dev.txt | python
	@echo "building $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python $(LOCKED) requirements-dev.txt
	@touch $@

# Without build isolation: the build back end is locked too, and nothing is fetched here.
$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	@$(BIN)/python $(PIP_INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@

$(WHEEL_VENV)/.locked: requirements.txt requirements-test.txt | python
	@echo "building $(WHEEL_VENV)"
	@$(PYTHON) -m venv --clear $(WHEEL_VENV)
	@$(WHEEL_VENV)/bin/python $(LOCKED) requirements.txt
	@$(WHEEL_VENV)/bin/python $(LOCKED) requirements-test.txt
	@touch $@

$(BENCH_VENV)/.locked: requirements-bench.txt | python
	@echo "building $(BENCH_VENV)"
	@$(PYTHON) -m venv --clear $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python $(LOCKED) requirements-bench.txt
	@touch $@

# --- use ------------------------------------------------------------------------------------

.PHONY: demo
demo: install ## Record a story and ask about it: the quickest look at Whence
	@$(BIN)/whence demo

.PHONY: bench
bench: $(BENCH_VENV)/.locked wheel ## Measure against peers; the table goes to bench/results.md
	@$(BENCH_VENV)/bin/python $(PIP_INSTALL) --no-deps --force-reinstall $(WHEEL_FOLDER)/*.whl
	@$(BENCH_VENV)/bin/python -m bench $(BENCH_FLAGS)

# --- checks ---------------------------------------------------------------------------------

.PHONY: test
test: lint test-source test-wheel ## Everything CI runs

.PHONY: test-full
test-full: lint ## The same with the long crash, fault and property tables against the source
	@WHENCE_TEST_FULL=1 $(MAKE) test-source
	@$(MAKE) test-wheel

.PHONY: lint
lint: install ## Format, ruff, types and directions of imports, changing nothing
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: test-source
test-source: install ## The tests against the source tree
	@$(BIN)/python -m pytest $(PYTEST_FLAGS)

.PHONY: test-wheel
test-wheel: $(WHEEL_VENV)/.locked wheel ## Those of the tests that packaging can break, against the built wheel
	@$(WHEEL_VENV)/bin/python $(PIP_INSTALL) --no-deps --force-reinstall $(WHEEL_FOLDER)/*.whl
	@WHENCE_TEST_WHEEL=1 $(WHEEL_VENV)/bin/python -m pytest $(PYTEST_FLAGS) $(WHEEL_TESTS)

.PHONY: wheel
wheel: install
	@rm -rf $(WHEEL_FOLDER)
	@$(BIN)/hatchling build --target wheel --directory $(WHEEL_FOLDER) >/dev/null

.PHONY: coverage
coverage: install ## Which branches the tests reach, as text and in htmlcov/
	@$(BIN)/coverage run -m pytest
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage html --quiet
	@$(BIN)/coverage report

# --- upkeep ---------------------------------------------------------------------------------

.PHONY: format
format: install ## Format the code and mend what ruff can mend
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

# Constrained by one another, so that each package has one version in all of them.
.PHONY: lock
lock: install ## Write requirements*.txt anew; UPGRADE=--upgrade takes newer versions
	@$(UV_COMPILE) --output-file requirements.txt >/dev/null
	@$(UV_COMPILE) --group dev --constraint requirements.txt \
		--output-file requirements-dev.txt >/dev/null
	@$(UV_COMPILE) --group test --constraint requirements-dev.txt \
		--output-file requirements-test.txt >/dev/null
	@$(UV_COMPILE) --group bench --constraint requirements-dev.txt \
		--output-file requirements-bench.txt >/dev/null

.PHONY: clean
clean: ## Remove the environments and whatever the tools left
	@rm -rf $(VENV) $(WHEEL_VENV) $(BENCH_VENV) build dist htmlcov .coverage .coverage.* \
		.hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
