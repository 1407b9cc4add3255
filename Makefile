# All set-up happens by itself: a target first makes .venv, and remakes it when pyproject.toml changes.
# Needed on the machine: make, and a Python of 3.11 or newer (say which with PYTHON=...).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

# Extra options for pytest, as in: make test ARGS='-k softmax -x'
ARGS ?=
# worksteal, not loadfile: one sample table in one file is most of the work, and its rows cost very different times.
PYTEST = $(BIN)/pytest $(ARGS)
PARALLEL = -n auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test test-thorough lint format format-check types wheel-test bench mutants parity check clean

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1 /p' Makefile | while read -r name text; do printf '%-14s %s\n' "$$name" "$$text"; done

demo: $(READY) ## train a small network on handwritten digits
	$(BIN)/python -m tapegrad.examples.digits

test: $(READY) ## every test that needs no torch
	$(PYTEST) $(PARALLEL)

test-thorough: $(READY) ## the same tests over many more generated programs, new ones each time
	TAPEGRAD_PROFILE=thorough $(PYTEST) $(PARALLEL)

lint: $(READY) ## ruff's checks
	$(BIN)/ruff check

format: $(READY) ## rewrite the sources in ruff's format
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

format-check: $(READY) ## fail where `make format` would change a file
	$(BIN)/ruff format --check

# mypy cannot be told that compile/ is tapegrad.compile, so it is shown a folder of links in which it is.
types: $(READY) ## mypy over tapegrad/ and compile/
	@rm -rf build/types && mkdir -p build/types/tapegrad
	@ln -s $(CURDIR)/tapegrad/* $(CURDIR)/compile build/types/tapegrad/
	@cd build/types && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml \
		--cache-dir $(CURDIR)/.mypy_cache -p tapegrad > report; \
	status=$$?; sed 's|^tapegrad/compile/|compile/|' report; exit $$status

wheel-test: $(READY) ## build the wheel, install it elsewhere, use it
	$(PYTEST) -m wheel

bench: $(READY) ## timings against hand-written JAX, and PyTorch if installed
	$(BIN)/python tests/benchmarks/run.py

mutants: $(READY) ## plant bugs in the rules; every one must be caught
	$(BIN)/python tests/mutants/run.py

parity: $(VENV)/ready-torch ## compare with PyTorch (installs it)
	$(PYTEST) $(PARALLEL) tests/parity

check: ## everything CI does
	.ci/run

clean: ## remove what was made, .venv too
	rm -rf $(VENV) build dist *.egg-info .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find tapegrad compile tests notebooks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# Each candidate is run, not only looked for: a pyenv shim exists for versions that are not active.
$(READY): pyproject.toml setup.py
	@python=$$(for name in "$(PYTHON)" python3.14 python3.13 python3.12 python3.11 python; do \
		"$$name" -c 'import sys, venv, ensurepip; sys.version_info >= (3, 11) and print(sys.executable)' 2>/dev/null; \
	done | head -n 1); \
	if [ -z "$$python" ]; then \
		echo "tapegrad needs Python 3.11 or newer with its venv module (Debian: python3-venv)." \
			"'$(PYTHON)' is not one; name one with: make PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	echo "making $(VENV) with $$python (a few minutes the first time)"; \
	"$$python" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo,test,lint]'
	@touch $@

# On Linux PyPI's torch brings CUDA along; PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu gets the small one.
$(VENV)/ready-torch: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@touch $@
