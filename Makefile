PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
SHELL := /bin/bash

.PHONY: app test
app: $(STAMP)
	$(VENV)/bin/creative4u app

test: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest

# A Python that cannot run this is refused before anything is downloaded.
CHOSEN := $(or $(wildcard $(VENV)/bin/python),$(PYTHON))
CHECK := import sys; v = "%d.%d" % sys.version_info[:2]; \
	v in ("3.11", "3.12", "3.13") or sys.exit("$(CHOSEN) is Python " + v + \
	"; 3.11, 3.12 or 3.13 is needed, for instance: make PYTHON=python3.13")

# torch comes first and alone: its pinned version decides what the rest resolves to.
$(STAMP): pyproject.toml
	@$(CHOSEN) -c '$(CHECK)'
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install torch==2.13.0
	$(VENV)/bin/pip install -e '.[dev]'
	touch $(STAMP)
