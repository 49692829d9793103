PYTHON ?= python3
BIN := .venv/bin
CORES := $(shell nproc)
# Two tests per core, because a system test mostly waits; on another Python beside them, three per two cores.
WORKERS := $(shell expr $(CORES) + $(CORES))
BESIDE := $(shell expr $(CORES) + $(CORES) / 2)
PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
PIP := -m pip --quiet --disable-pip-version-check
# Tests with many examples run with all of them on one Python only, in `make test`.
FEWER_EXAMPLES := EXAMPLES_SHARE=0.2
# An installation whose hot path is compiled; pip builds it as it does for a user.
COMPILED := build/compiled
PACKAGED = $(shell find service etl schemas -type f -not -name "*.pyc")
# The other Pythons of the classifiers in setup.cfg that this machine has. `test` looks for them once.
OTHERS = $(shell $(BIN)/python tools/pythons.py others)

# Bytecode is kept: pytest reuses its rewritten tests, and hundreds of processes start sooner.
unexport PYTHONDONTWRITEBYTECODE
COMPILE := -m compileall -q service etl

.PHONY: install help demo fmt unit lint test test-ready test-default test-others test-compiled compiled soak bench tracker screenshots clean
.PRECIOUS: .venv-%/bin/python .venv-%/.test

install: .venv/.installed  ## install beaconlog into .venv (what make does without a target)

help:  ## list the targets
	@sed -nE 's/^([a-z%-]+):.*  ## (.*)/make \1|\2/p' Makefile | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "beaconlog needs Python 3.11 or newer; set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python $(PIP) install -e .
	@touch $@

.venv/.dev: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python $(PIP) install -e ".[dev,notebook]"
	@touch $@ .venv/.installed

.venv-%/bin/python:
	python=$$($(BIN)/python tools/pythons.py path $*) && $$python -m venv .venv-$*

.venv-%/.test: .venv-%/bin/python setup.cfg pyproject.toml
	.venv-$*/bin/python $(PIP) install -e ".[test,notebook]"
	@touch $@

# Lint, then the tests on the default Python; beside them, what the other Pythons need is installed, and
# then their tests run. A failed lint starts no further target, but does not stop a test-others that has begun.
test: .venv/.dev  ## run lint, then all tests and, beside them, those of other Pythons
	@$(MAKE) --no-print-directory --jobs 2 OTHERS="$(OTHERS)" test-default test-others test-compiled
	@$(BIN)/python tools/pythons.py summary

test-ready: compiled
	@for version in $(OTHERS); do $(MAKE) --no-print-directory .venv-$$version/.test || exit; done

test-default: lint
	$(BIN)/python $(COMPILE)
	$(BIN)/python -m pytest $(PARALLEL)

# System tests run on the default Python and on the newest; a version between them gets the unit tests.
# What a version printed follows when it has ended: two pytests would print into one another.
test-others: test-ready
	@for version in $(OTHERS); do \
		test $$version = $(lastword $(OTHERS)) && tests=test || tests=unit; \
		printed=$$($(MAKE) --no-print-directory WORKERS=$(BESIDE) $$tests-$$version 2>&1); ended=$$?; \
		printf '\n%s\n' "$$printed"; \
		test $$ended = 0 || exit $$ended; \
	done

compiled: $(COMPILED)/.built  ## install beaconlog, with a compiled hot path, into build/compiled

$(COMPILED)/.built: .venv/.installed setup.py $(PACKAGED)
	rm -rf build
	BEACONLOG_COMPILE=1 $(BIN)/python $(PIP) install --no-deps --upgrade --target $(COMPILED) .
	@touch $@

# pytest itself, because `python -m pytest` would find the source of this folder first.
test-compiled: .venv/.dev compiled  ## run the unit tests of the hot path on its compiled form
	@ls $(COMPILED)/service/collector/record.*.so > /dev/null
	PYTHONPATH=$(COMPILED) $(FEWER_EXAMPLES) $(BIN)/pytest $(PARALLEL) -m "not interpreted" \
		-o pythonpath="$(COMPILED) tests/unit tests/system tools" \
		tests/unit/service/collector tests/unit/service/web/http tests/unit/service/web/public

test-%: .venv/.dev .venv-%/.test  ## run the unit and system tests on another Python: make test-3.12
	.venv-$*/bin/python $(COMPILE)
	$(FEWER_EXAMPLES) .venv-$*/bin/python -m pytest tests/system tests/unit $(PARALLEL) -m "not default_python"

unit-%: .venv/.dev .venv-%/.test
	.venv-$*/bin/python $(COMPILE)
	$(FEWER_EXAMPLES) .venv-$*/bin/python -m pytest tests/unit $(PARALLEL) -m "not default_python"

unit: .venv/.dev  ## run the unit tests
	$(FEWER_EXAMPLES) $(BIN)/python -m pytest tests/unit $(PARALLEL)

lint: .venv/.dev  ## check format, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: .venv/.dev  ## format the code, and fix the findings that ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

SCALE ?= 1
soak: .venv/.dev  ## run the long form of the fault tests; SCALE=0.1 for a tenth of it
	@rm -f .soak.ndjson
	BEACONLOG_SOAK=$(SCALE) BEACONLOG_SOAK_FIGURES=$(CURDIR)/.soak.ndjson \
		$(BIN)/python -m pytest tests/faults --timeout 0 --durations 0
	@cat .soak.ndjson

BENCH ?=
bench: compiled  ## measure, beside other servers, and write benchmarks/RESULTS.md
	$(BIN)/python $(PIP) install -e ".[bench]"
	@! command -v npm > /dev/null || npm install --no-audit --no-fund --silent --prefix benchmarks/peers/fastify \
		|| echo "npm could not install Fastify"
	@$(BIN)/python -m benchmarks.candidates
	$(BIN)/python -m benchmarks.run $(BENCH)

tracker: .venv/.dev  ## make beacon.min.js from beacon.js
	$(BIN)/python tools/minify_tracker.py

DEMO ?=
demo: install  ## run the demo: a month of a street of shops; DEMO=--open opens its dashboard
	$(BIN)/beaconlog demo $(DEMO)

screenshots: .venv/.dev  ## take the pictures of the README in Chromium, of a new demo
	$(BIN)/python tools/screenshots.py

clean:  ## delete environments, builds and caches
	rm -rf .venv .venv-* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
