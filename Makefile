# The two commands of a new user are `make quickstart` and `make test`; both set up .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
DIST := dist
ENTRIES := $(shell sed -n 's/^\[entries\.\([a-z0-9-]*\)\]$$/\1/p' registry.toml)

# One constraints file pins every install, build tools included.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests run two at a time, each on one core.
test check verify: export OMP_NUM_THREADS := 1
test check verify: export MKL_NUM_THREADS := 1

.PHONY: setup quickstart test check lint verify openvino bench dist

setup: $(READY)

$(READY): requirements.txt constraints.txt pyproject.toml $(wildcard plugins/*/pyproject.toml exporters/*/pyproject.toml)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --progress-bar off -r requirements.txt
	touch $(READY)

quickstart: setup
	$(BIN)/zoo quickstart

test: setup
	$(BIN)/python -m pytest -n 2

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy zoo plugins/*/zoo_* exporters/*/zoo_*
	$(BIN)/lint-imports

check: lint test

verify: setup
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m verify
	printf '%s\n' $(ENTRIES) | xargs -P 2 -I NAME $(BIN)/zoo evaluate NAME --verify

# The tests of an extra, in an environment that has it.
openvino: setup
	$(BIN)/python -m pip install --quiet --progress-bar off -e exporters/openvino
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -m "verify or not verify" exporters/openvino tests/test_entries.py -k openvino

bench: setup
	$(BIN)/python -m benchmarks

dist: setup
	for folder in . plugins/* exporters/*; do \
		if test -f $$folder/pyproject.toml; then $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir $(DIST) $$folder || exit 1; fi; \
	done
