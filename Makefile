# The two commands of a new user are `make quickstart` and `make test`; both set up .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
EXTRAS := $(VENV)/extras
DIST := dist
ENTRIES := $(shell sed -n 's/^\[entries\.\([a-z0-9-]*\)\]$$/\1/p' registry.toml)

# One constraints file pins every install, build tools included.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# No word about the future of mkdocs in the output of `make docs`.
docs: export NO_MKDOCS_2_WARNING := 1
# Tests run two at a time, each on one core.
test check verify: export OMP_NUM_THREADS := 1
test check verify: export MKL_NUM_THREADS := 1

TORCH := $(BIN)/python -m pip list --format=freeze | grep -iE '^(torch=|triton|nvidia-|cuda-|cupy)'
PIP := $(BIN)/python -m pip install --quiet --progress-bar off
DECLARED := $(wildcard pyproject.toml plugins/*/pyproject.toml exporters/*/pyproject.toml)

.PHONY: setup extras quickstart test check lint verify openvino docs bench dist

setup: $(READY)

$(READY): requirements.txt constraints.txt $(DECLARED)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements.txt
	touch $(READY)

# What the quickstart does without, and the tests need.
extras: $(EXTRAS)

# The torch that is there stays, and no CUDA comes beside it.
$(EXTRAS): $(READY) requirements-extras.txt
	$(TORCH) > $(VENV)/torch
	$(PIP) -r requirements-extras.txt
	$(TORCH) | diff $(VENV)/torch - || { echo "requirements-extras.txt changes torch, or brings CUDA" >&2; exit 1; }
	touch $(EXTRAS)

quickstart: setup
	$(BIN)/zoo quickstart

test: extras
	$(BIN)/python -m pytest -n 2

lint: extras
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy zoo plugins/*/zoo_* exporters/*/zoo_*
	$(BIN)/lint-imports
	$(BIN)/python tests/words.py

check: lint test

verify: extras
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m verify
	printf '%s\n' $(ENTRIES) | xargs -P 2 -I NAME $(BIN)/zoo evaluate NAME --verify

# The documentation site, in build/site. It asks no other host for anything.
docs: extras
	$(BIN)/python -m mkdocs build --strict --config-file docs/mkdocs.yml

# The tests of an extra, in an environment that has it.
openvino: extras
	$(PIP) -e exporters/openvino
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -m "verify or not verify" exporters/openvino tests/test_entries.py -k openvino

bench: setup
	$(BIN)/python -m benchmarks

dist: setup
	for folder in . plugins/* exporters/*; do \
		if test -f $$folder/pyproject.toml; then $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir $(DIST) $$folder || exit 1; fi; \
	done
