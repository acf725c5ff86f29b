# Everything a user needs: `make train` shows the system at work, `make test` proves it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: install train test docs lint clean

install: $(VENV)/.installed

# Constraints pin every package, so that an install today and one in a year are the same.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

train: install
	$(RUN) -m dualgnn_dist.train --config configs/quickstart.yaml run.name=quickstart_$$(date +%Y%m%d_%H%M%S)

test: install
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(RUN) -m pytest

# Material says at every build that a successor is coming.
docs: install
	$(RUN) docs/generate
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

clean:
	rm -rf $(VENV) runs stores site
