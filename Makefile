PYTHON ?= python3
BIN := .venv/bin

.PHONY: install test soak bench lint tracker demo clean

install: .venv/.installed

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "beaconlog needs Python 3.11 or newer; set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

.venv/.dev: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,notebook]"
	@touch $@

test: lint
	$(BIN)/python -m pytest -n auto --dist loadfile

SCALE ?= 1
soak: .venv/.dev
	@rm -f .soak.ndjson
	BEACONLOG_SOAK=$(SCALE) BEACONLOG_SOAK_FIGURES=$(CURDIR)/.soak.ndjson \
		$(BIN)/python -m pytest tests/faults --timeout 0 --durations 0
	@cat .soak.ndjson

bench: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[bench]"
	$(BIN)/python -m benchmarks.run

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

tracker: .venv/.dev
	$(BIN)/python tools/minify_tracker.py

demo: install
	$(BIN)/beaconlog demo

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
