# Needs Python 3.11+ with its venv module, make, and a package index. `make help` lists the targets.
# The tests of the HTML page in a browser need Chromium too (Debian: apt-get install chromium), or
# are skipped; those of its rules need none.

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-complete
FLOORS := .venv-floors
FLOORS_STAMP := $(FLOORS)/.setup-complete
INTEGRATIONS := .venv-integrations
INTEGRATIONS_STAMP := $(INTEGRATIONS)/.setup-complete
LIBRARIES := tests/integrations/requirements.txt

define PYTHON_NOT_FOUND
error: $(PYTHON) not found; name a Python 3.11 or newer, as in: make setup PYTHON=python3.12
endef
define PYTHON_TOO_OLD
error: $(PYTHON) is older than 3.11; name a newer one, as in: make setup PYTHON=python3.12
endef
define NOT_THE_FLOOR
error: $(PYTHON) is not 3.11, the oldest Python and the one for which the oldest packages are built; \
name it, as in: make test-floors PYTHON=python3.11
endef
define NO_VENV_MODULE
error: $(PYTHON) lacks its venv module; install it (Debian, Ubuntu: apt-get install python3-venv)
endef

.DEFAULT_GOAL := help
.PHONY: help setup test test-floors test-integrations lint demo clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## /\1|/p' Makefile | awk -F'|' '{ printf "%-19s%s\n", $$1, $$2 }'

setup: $(STAMP)  ## create .venv with PYTHON (python3) and install all that the project needs

test: $(STAMP)  ## run the tests; ARGS="-k graph" goes to pytest
	$(BIN)/python -m pytest $(ARGS)

test-floors: $(FLOORS_STAMP)  ## run the tests with the oldest versions that setup.py allows
	$(FLOORS)/bin/python -m pytest $(ARGS)

test-integrations: $(INTEGRATIONS_STAMP)  ## run the tests with libraries that take or give results (docs/INTEGRATIONS.md)
	$(INTEGRATIONS)/bin/python -m pytest tests/integrations $(ARGS)

lint: $(STAMP)  ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

demo: $(STAMP)  ## run tools/demo.py; ARGS="--help" goes to it
	$(BIN)/python tools/demo.py $(ARGS)

clean:  ## remove caches and build products; environments stay
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . \( -path ./$(VENV) -o -path ./$(FLOORS) -o -path ./$(INTEGRATIONS) \) -prune -o -type d -name __pycache__ -exec rm -rf {} +

# The stamps are made last: whatever interrupts the installation, the next `make` goes on with it. An
# environment whose pip does not run is what an interrupted start left, and is made anew.
$(STAMP): VERSIONS := constraints.txt
$(STAMP): constraints.txt
$(FLOORS_STAMP): VERSIONS := floors.txt
$(FLOORS_STAMP): floors.txt
$(INTEGRATIONS_STAMP): VERSIONS := $(LIBRARIES)
$(INTEGRATIONS_STAMP): ALSO := --requirement $(LIBRARIES)
$(INTEGRATIONS_STAMP): $(LIBRARIES)
$(STAMP) $(FLOORS_STAMP) $(INTEGRATIONS_STAMP): %/.setup-complete: setup.py third_party/detectron2/pyproject.toml \
		third_party/detectron2/backend.py
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON_NOT_FOUND)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON_TOO_OLD)" >&2; exit 1; }
	@test $* != $(FLOORS) || $(PYTHON) -c 'import sys; sys.exit(sys.version_info >= (3, 12))' || \
		{ echo "$(NOT_THE_FLOOR)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(NO_VENV_MODULE)" >&2; exit 1; }
	$*/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $*
	$*/bin/python -m pip install --disable-pip-version-check --constraint $(VERSIONS) \
		--editable '.[dev,opencv]' ./third_party/detectron2 $(ALSO)
# Some of the libraries want another distribution of OpenCV, which writes over this one's files.
	test $* != $(INTEGRATIONS) || $*/bin/python -m pip install --disable-pip-version-check \
		--force-reinstall --no-deps --constraint $(VERSIONS) opencv-python-headless
	$*/bin/python -W ignore -c 'import cv2, detectron2.modeling'
	touch $@
