# Everything a user needs: `make train` shows the system at work, `make test` proves it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
RUN := $(VENV)/bin/python
# Constraints pin every package, so that an install today and one in a year are the same.
PIP := $(VENV)/bin/pip install --quiet --constraint constraints.txt --editable
SAYS_WHAT_IS_NEEDED := pyproject.toml setup.py constraints.txt

.PHONY: install train test test-faults docs clean

install: $(VENV)/.installed

$(VENV)/.installed: $(SAYS_WHAT_IS_NEEDED)
	$(PYTHON) -m venv $(VENV)
	$(PIP) .
	touch $@

# The test tools come on top, when something is tested.
$(VENV)/.test_tools: $(VENV)/.installed
	$(PIP) '.[test]'
	touch $@

train: $(VENV)/.installed
	$(RUN) -m dualgnn_dist.train

test: $(VENV)/.test_tools
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(RUN) -m pytest

# Kills, stops, damages and starves what runs: half an hour.
test-faults: $(VENV)/.test_tools
	$(RUN) -m pytest -m faults

# Material says at every build that a successor is coming.
docs: $(VENV)/.test_tools
	$(RUN) docs/generate
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

clean:
	rm -rf $(VENV) runs stores site build dist *.egg-info
