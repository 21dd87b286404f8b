# Every target sets up what it needs: after cloning, `make demo` or `make test` is the only step.

SHELL  := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3; do $$p -c '' 2>/dev/null && echo $$p && break; done)
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
CODE   := $(wildcard hydrafy tests benchmarks examples)
TORCH  := 2.13.0

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test lint bench fuzz lock clean

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

install: $(STAMP)  ## make .venv with the package and all that development needs

$(STAMP): pyproject.toml requirements.lock
	@if [ -z "$(PYTHON)" ] || ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	    echo "hydrafy needs Python 3.11 or newer: install it, or name one with 'make PYTHON=/path/to/python3.11 ...'" >&2; \
	    exit 1; \
	fi
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: install  ## train a small network on handwritten digits, make it dynamic, and compare
	$(BIN)/hydrafy demo --force

lint: install  ## style, format and types
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy

test: lint  ## lint, then the tests
	$(BIN)/python -m pytest -n 2

bench: install  ## run every script in benchmarks/
	$(BIN)/python -m benchmarks.branches cifar
	$(BIN)/python -m benchmarks.branches cifar --set combiner=mean
	$(BIN)/python -m benchmarks.branches resnet50
	$(BIN)/python -m benchmarks.costs
	$(BIN)/python -m benchmarks.kernels

fuzz: install  ## damage models at random, as long as you let it (FUZZ="--minutes 10")
	$(BIN)/python -m tests.fuzz $(FUZZ)

lock: install  ## pin the newest versions of everything in requirements.lock
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade --strip-extras \
	    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --unsafe-package pip \
	    --constraint <(echo torch==$(TORCH)) --extra cpu --extra datasets --extra plots --extra dev \
	    --output-file requirements.lock pyproject.toml
	sed -i -e 's/+cpu$$//' -e '/#   -c .*/d' requirements.lock  # any build of torch will do

clean:  ## remove .venv and every cache
	rm -rf $(VENV) .ruff_cache .mypy_cache .pytest_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
