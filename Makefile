# `make run` and `make test` are all a fresh machine needs: Python 3.11 or 3.12, and what pip is told by its own environment variables.
# What is installed is installed again only when its lock file changes; both builds of vLLM never share an environment.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV   ?= .venv
BUILD  ?= $(if $(shell nvidia-smi -L 2>/dev/null),gpu,cpu)
OTHER   = $(if $(filter gpu,$(BUILD)),cpu,gpu)
WORKERS ?= 2
LOCKS   = requirements/$(BUILD).lock
STAMP   = $(VENV)/.installed
BIN     = $(VENV)/bin

check test: LOCKS += requirements/train.lock

.DEFAULT_GOAL := help
AUDIT   = .audit

.PHONY: help run test quick mutants screenshots soak check env audit lock lock-gpu clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 8

run: env ## Start the service: PostgreSQL, vLLM, the API and a worker (RUN="--port 9000" passes options)
	$(BIN)/relate up $(RUN)

# one thread a worker: threads that wait for a taken core would only spin
test: check ## Run style, type and import checks and all tests (WORKERS=4 with more cores)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

quick: check ## Run style, type and import checks, and the tests that need neither a model nor a browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m 'not gpu and not browser and not slow and not soak' tests/adtext tests/abtest tests/app tests/architecture

soak: env ## Run the tests that take minutes: real outages, one after the other, with their measurements
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m soak tests

mutants: env ## Measure the mutation score of the pure modules (hours; MUTANTS="abtest/lift.py" for some modules)
	nice -n 10 $(BIN)/python -m benchmarks.mutants $(MUTANTS)

screenshots: env ## Update the screenshots of the README (needs Chromium)
	$(BIN)/python -m pytest -q tests/browser -k analyst
	mkdir -p docs/images && cp tests/browser/screenshots/report_top.png docs/images/report.png

check: env ## Run style, type and import checks only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

env: ## Create or update the environment in .venv
	@set -e; \
	if grep -qs 'requirements/$(OTHER).lock' $(STAMP); then rm -rf $(VENV); fi; \
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV); \
	for lock in $(LOCKS); do \
	  line="$$(sha256sum $$lock)"; \
	  if grep -qsxF "$$line" $(STAMP); then continue; fi; \
	  $(BIN)/python -m pip install --no-deps --require-hashes -r $$lock; \
	  $(BIN)/python -m pip install --no-deps --no-build-isolation -e .; \
	  echo "$$line" >> $(STAMP); \
	done

audit: ## Check every pinned package for known vulnerabilities (needs PyPI and api.osv.dev)
	[ -x $(AUDIT)/bin/pip-audit ] || { $(PYTHON) -m venv $(AUDIT) && $(AUDIT)/bin/python -m pip install pip-audit==2.9.0; }
	$(AUDIT)/bin/pip-audit --vulnerability-service osv --disable-pip --require-hashes -r requirements/cpu.lock -r requirements/train.lock

lock: ## Write requirements/core.lock, cpu.lock and train.lock from .venv (after a change of pyproject.toml, install the new packages first)
	$(BIN)/python requirements/make_lock.py

lock-gpu: ## Write requirements/gpu.lock with the versions that pip resolves (needs no GPU)
	$(BIN)/python requirements/make_lock.py gpu

clean: ## Remove the environment and caches; the data in .relate is kept
	rm -rf $(VENV) $(AUDIT) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
