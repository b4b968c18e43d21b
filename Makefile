# Open EMR Studio: everything from a fresh clone. `make help` lists the targets.
SHELL := /bin/bash
BIN := .venv/bin
DATA_DIR ?= $(HOME)/.emr-studio
PORT ?=
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help install up down test lint unit api system browser chaos fuzz soak bench capabilities reference format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install:  ## make .venv and all else that the studio needs
	@deploy/install.sh run

up: install  ## start a working studio and print where it is
	@$(BIN)/emr-studio up --detach --data-dir "$(DATA_DIR)" $(if $(PORT),--port $(PORT))

down:  ## stop it; nothing is lost
	@$(BIN)/emr-studio down --data-dir "$(DATA_DIR)"

.PHONY: dev
dev:
	@deploy/install.sh browser

lint: dev  ## formatting, types, import layers, the web pages' types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tests.tools.capabilities --check
	@for web in console packages/workspace/lab; do if [ -d $$web/node_modules ]; then (cd $$web && npm run --silent lint) || exit 1; fi; done

test: lint  ## all tests
	tests/run.sh

unit: dev  ## the packages' own tests
	$(BIN)/pytest -q -n $(WORKERS) --dist loadfile packages

api: dev  ## boto3 and the AWS CLI against a running server
	$(BIN)/pytest -q tests/api

system: dev  ## real Spark, the demo
	$(BIN)/pytest -q tests/system

browser: dev  ## real Chromium
	$(BIN)/pytest -q tests/browser

chaos: dev  ## kill -9 of each process
	$(BIN)/pytest -q tests/chaos

fuzz: dev  ## 100,000 mutated policies and requests (FUZZ_CASES, FUZZ_SEED); make test has 2,000
	FUZZ_CASES=$${FUZZ_CASES:-100000} FUZZ_SEED=$${FUZZ_SEED:-0} $(BIN)/pytest -q tests/fuzz

soak: dev  ## the long tests, and 1,000 saves while Workspace, agent and store are killed (SAVES; make test has 80)
	$(BIN)/pytest -q -m soak tests
	SAVES=$${SAVES:-1000} $(BIN)/pytest -q tests/chaos/test_saves.py

bench:  ## measure beside the peers, in the same run
	@deploy/install.sh bench
	$(BIN)/python -m bench

capabilities: dev  ## write docs/capabilities.md
	$(BIN)/python -m tests.tools.capabilities

reference: dev  ## write the pages made from the code: docs/compatibility.md, docs/reference/*
	@mkdir -p docs/reference
	$(BIN)/emr-studio reference compatibility > docs/compatibility.md
	$(BIN)/emr-studio reference settings > docs/reference/settings.md
	$(BIN)/emr-studio reference actions > docs/reference/actions.md
	$(BIN)/emr-studio reference policies docs/reference/policies

format: dev
	$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format -q .

clean:  ## remove what install made
	rm -rf .venv .envs .cache console/node_modules packages/workspace/lab/node_modules packages/workspace/lab/dist packages/studio/src/emr_studio/console/static
