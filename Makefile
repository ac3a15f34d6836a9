# Two commands on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# one thread per test process: two busy thread pools on two cores slow each other down many times
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadgroup

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: $(VENV)/.run ## install, run configs/mnist.yaml on real MNIST images, write the report
	$(BIN)/winit run configs/mnist.yaml
	$(BIN)/winit report
	@echo "open the report.html above in a browser"

.PHONY: test
test: $(VENV)/.dev ## run the tests that are not marked slow
	$(PYTEST) -m "not slow"

.PHONY: test-all
test-all: $(VENV)/.all ## run all tests
	$(PYTEST)

.PHONY: bench
bench: $(VENV)/.run ## measure this machine's speed into results/bench; takes about a quarter of an hour
	$(BIN)/winit bench --output results/bench

.PHONY: gallery
gallery: $(VENV)/.run ## run the shipped configs, renew the pictures in results/gallery
	$(BIN)/python -m winit_cli.gallery

.PHONY: atlas
atlas: $(VENV)/.run ## run the configs of published findings, renew results/atlas and the table in the README
	$(BIN)/python -m winit_cli.atlas

.PHONY: check
check: $(VENV)/.dev ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: clean
clean: ## remove the virtual environment, caches and build outputs; results stay
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "winit needs Python 3.11 or newer; name one: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)

.PHONY: say-torch
say-torch: $(BIN)/python
	@$(BIN)/python -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)' || { \
		echo "Installing PyTorch. On Linux pip may download its CUDA build with libraries of several gigabytes."; \
		echo "To use a CPU-only or another build, stop here, install it into $(VENV) as pytorch.org/get-started says"; \
		echo "(torch 2.13.0 with torchvision 0.28.0 is the tested pair), and run the same make command again."; }

$(VENV)/.run: pyproject.toml constraints.txt | say-torch
	$(BIN)/python -m pip install --constraint constraints.txt --editable ".[vision]"
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install --constraint constraints.txt --editable ".[vision,dev]"
	@touch $@

$(VENV)/.all: $(VENV)/.dev
	$(BIN)/python -m pip install --constraint constraints.txt --editable ".[vision,dev,ray]"
	@touch $@
