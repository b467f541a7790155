# The two commands of the README: `make up` runs Olympus, `make test` passes the tests. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
STATE ?= $(or $(XDG_STATE_HOME),$(if $(HOME),$(HOME)/.local/state,.state))/olympus
CONSUL_CACHE := $(or $(XDG_CACHE_HOME),$(if $(HOME),$(HOME)/.cache,.cache))/olympus
CONSUL_VERSION := 1.22.0
UP ?=

# The first interpreter that is new enough and can make an environment.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 /usr/bin/python3; do \
  $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
  && { echo $$p; break; }; done)

.PHONY: help env env-dev up test check bench browser pictures consul lock schemas clean

help: ## what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-9s %s\n", $$1, $$2}'

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make: needs Python 3.11, 3.12 or 3.13 with venv and ensurepip (Debian: apt install python3-venv), or PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

env: $(VENV)/.run ## the environment that `make up` needs
env-dev: $(VENV)/.dev ## the environment that `make test` needs

up: $(VENV)/.run ## run Olympus here, with the embedded Hermes and the specs of specs/ (more flags: UP="--listen …")
	@exec $(BIN)/olympus up --state "$(STATE)" --specs specs --node local $(UP)

test: $(VENV)/.dev consul ## everything the tests need, then all tests
	$(BIN)/python -m pytest $(TESTS)

check: $(VENV)/.dev ## style, types, layers, dead code, dependencies, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/vulture
	$(BIN)/python -m olympus.spec.schema_export --check

bench: $(VENV)/.dev consul ## measure beside a reference in the same run and print ratios
	$(BIN)/python -m tests.bench

browser: ## a real Chromium for the tests of the pages: the one on PATH, or Debian's (as root)
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null; }

pictures: $(VENV)/.dev browser ## take the pictures of docs/pictures anew
	$(BIN)/python -m tests.browser.pictures docs/pictures

consul: ## a real Consul for the tests: the one on PATH, or built once and kept outside the tree
	@CONSUL_VERSION=$(CONSUL_VERSION) CACHE="$(CONSUL_CACHE)" tests/consul/build

schemas: $(VENV)/.run ## write schemas/ anew
	$(BIN)/python -m olympus.spec.schema_export

lock: $(BIN)/python ## write the lock files anew from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile -q pyproject.toml --group pyproject.toml:build --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements.lock
	$(BIN)/uv pip compile -q pyproject.toml --group pyproject.toml:build --group pyproject.toml:dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements-dev.lock

clean: ## remove the environment and caches, never state
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist
