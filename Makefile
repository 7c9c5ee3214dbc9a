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

# torch comes first and alone: its pinned version decides what the rest resolves to.
$(STAMP): pyproject.toml
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install torch==2.13.0
	$(VENV)/bin/pip install -e '.[dev]'
	touch $(STAMP)
