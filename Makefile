PYTHON ?= python3
BIN := .venv/bin
# Half as many tests again as cores: most of what a test of the system does is to wait.
PARALLEL := -n $(shell expr $$(nproc) + $$(nproc) / 2) --dist loadfile --no-loadscope-reorder
PIP := -m pip --quiet --disable-pip-version-check
# Properties are tried with all examples on one Python, in `make test`.
FEWER_EXAMPLES := BEACONLOG_EXAMPLES=0.2
# The other Pythons of setup.cfg's classifiers that this machine has.
OTHERS = $(shell $(BIN)/python tools/pythons.py others)

# pytest keeps its rewritten tests; and compiled, each of some hundred processes starts sooner.
unexport PYTHONDONTWRITEBYTECODE
COMPILE := -m compileall -q service etl

.PHONY: install test unit lint fmt soak bench tracker demo clean
.PRECIOUS: .venv-%/bin/python .venv-%/.dev

install: .venv/.installed

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "beaconlog needs Python 3.11 or newer; set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python $(PIP) install -e .
	@touch $@

.venv/.dev: .venv/.installed
	$(BIN)/python $(PIP) install -e ".[dev,notebook]"
	@touch $@

.venv-%/bin/python:
	python=$$($(BIN)/python tools/pythons.py path $*) && $$python -m venv .venv-$*

.venv-%/.dev: .venv-%/bin/python setup.cfg pyproject.toml
	.venv-$*/bin/python $(PIP) install -e ".[dev,notebook]"
	@touch $@

test: lint
	$(BIN)/python $(COMPILE)
	$(BIN)/python -m pytest $(PARALLEL)
	@set -e; for version in $(OTHERS); do $(MAKE) --no-print-directory test-$$version; done
	@$(BIN)/python tools/pythons.py tell

# make test-3.12: the unit and system tests on another Python.
test-%: .venv/.dev .venv-%/.dev
	.venv-$*/bin/python $(COMPILE)
	$(FEWER_EXAMPLES) .venv-$*/bin/python -m pytest tests/system tests/unit $(PARALLEL)

unit: .venv/.dev
	$(FEWER_EXAMPLES) $(BIN)/python -m pytest tests/unit $(PARALLEL)

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

SCALE ?= 1
soak: .venv/.dev
	@rm -f .soak.ndjson
	BEACONLOG_SOAK=$(SCALE) BEACONLOG_SOAK_FIGURES=$(CURDIR)/.soak.ndjson \
		$(BIN)/python -m pytest tests/faults --timeout 0 --durations 0
	@cat .soak.ndjson

bench: .venv/.installed
	$(BIN)/python $(PIP) install -e ".[bench]"
	$(BIN)/python -m benchmarks.run

tracker: .venv/.dev
	$(BIN)/python tools/minify_tracker.py

demo: install
	$(BIN)/beaconlog demo

clean:
	rm -rf .venv .venv-* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
