# `make`, and Python 3.11 to 3.14, are all that is assumed. `.venv` and `.cache` hold everything.

# To choose one: make setup PYTHON=python3.12
PYTHONS := $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14)
UV_VERSION := 0.13.8
RUN := .venv/bin/python
# Further options for a command: make demo ARGS=--listen
ARGS ?=
WORKFLOW ?= patient_questions

export UV_CACHE_DIR := $(CURDIR)/.cache/uv
export UV_PYTHON_DOWNLOADS := never
# What an outer virtual environment sets would make uv look there.
unexport VIRTUAL_ENV
unexport UV_PYTHON
unexport UV_PROJECT_ENVIRONMENT
unexport PYTHONHOME
unexport PYTHONPATH

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint latency chaos bench-courier bench-tools up clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: .venv/.complete ## Set everything up (once; the other targets do it by themselves)
	@$(RUN) -m local.parts.install

demo: setup ## Play one call to an agent, without any account or key: WORKFLOW=patient_questions
	@$(RUN) ring.py demo --workflow $(WORKFLOW) $(ARGS)

test: setup lint ## Run every check and every test, the end-to-end call included
	@# Most tests share the cores; what judges sound or time wants them for itself. 5 is "none of these".
	$(RUN) -m pytest --numprocesses 2 --dist loadfile -m "not alone" $(ARGS) || test $$? = 5
	$(RUN) -m pytest -m alone $(ARGS) || test $$? = 5

lint: .venv/.complete ## Run the checks that need no call
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	.venv/bin/lint-imports
	$(RUN) -m codespell_lib

latency: setup ## Measure mouth-to-ear and barge-in
	@$(RUN) ring.py latency $(ARGS)

chaos: setup ## Kill what serves calls at random times, and balance the ledger
	@$(RUN) ring.py chaos $(ARGS)

bench-courier: setup ## Measure from BYE to webhook, and how fast a backlog goes
	@$(RUN) ring.py bench-courier $(ARGS)

bench-tools: setup ## Measure what a tool costs besides its own work
	@$(RUN) ring.py bench-tools $(ARGS)

up: setup ## Run the local parts until Ctrl-C, for agents started by hand
	@$(RUN) ring.py up $(ARGS)

clean: ## Remove all that set-up and runs have made
	@test ! -d .cache || chmod -R u+w .cache
	rm -rf .venv .cache .thirdring .coverage
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

# A virtual environment knows its own path: one that was copied here is made anew.
ifneq ($(shell cat .venv/.complete 2>/dev/null),$(CURDIR))
.PHONY: .venv/.complete
endif

.venv/.complete: pyproject.toml uv.lock Makefile
	@set -e; \
	if ! test -f $@ || test "$$(cat $@)" != "$(CURDIR)" || ! $(RUN) -c '' 2>/dev/null; then \
	  python=; seen=; \
	  for each in $(PYTHONS); do \
	    version=$$("$$each" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) \
	      || continue; \
	    seen="$$seen $$each is $$version;"; \
	    case $$version in 3.11|3.12|3.13|3.14) python=$$each; break;; esac; \
	  done; \
	  if test -z "$$python"; then \
	    echo "Thirdring needs Python 3.11 to 3.14, and none of these is: $(PYTHONS)." >&2; \
	    echo "Found:$${seen:- none at all}" >&2; \
	    echo "Install one, then name it: make setup PYTHON=/path/to/python3.13" >&2; exit 1; \
	  fi; \
	  if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "$$python ($$version) cannot make virtual environments: its venv module is missing." >&2; \
	    echo "On Debian and Ubuntu: apt-get install python$$version-venv" >&2; exit 1; \
	  fi; \
	  echo "Making .venv with $$python ($$version)"; \
	  "$$python" -m venv --clear .venv; \
	fi; \
	if test "$$($(RUN) -m uv --version 2>/dev/null | cut -d ' ' -f 2)" != "$(UV_VERSION)"; then \
	  echo "Installing uv $(UV_VERSION) into .venv"; \
	  $(RUN) -m pip install --quiet --no-cache-dir --disable-pip-version-check uv==$(UV_VERSION); \
	fi; \
	echo "Installing the packages of uv.lock"; \
	$(RUN) -m uv sync --frozen --all-extras --python $(RUN); \
	printf '%s\n' "$(CURDIR)" > $@
