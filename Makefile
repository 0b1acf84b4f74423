# make setup     the environment in .venv: three minutes, most of it a download;   make help   these lines
# make setup TORCH='torch torchvision --index-url URL'   with another build of PyTorch; make lock: scripts/README.md
# make figures   sets everything up; a tour of every paper in miniature, on the CPU
# make edition   the entries in miniature that take at most 12 minutes; it goes on where it was stopped
# make test      sets everything up, passes the tests;   make test-fast   units alone, two minutes
# make figure F=zero_gp/fig1 SCALE=paper   one figure;   make figures SCALE=paper   all of them

PYTHON ?= python3
VENV   ?= .venv
TORCH  ?= torch==2.13.0 torchvision==0.28.0
SCALE  ?= miniature
OUT    ?= outputs
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet
LAB    := $(BIN)/gp-lab

.PHONY: help figures edition figure test test-fast slow-test setup lock lint clean
.DEFAULT_GOAL := figures

help:
	@sed -n 's/^# //p' $(firstword $(MAKEFILE_LIST))

figures: setup
	$(LAB) figures --tour scale=$(SCALE) 'out="$(OUT)"'

edition: setup
	$(LAB) figures scale=$(SCALE) 'out="$(OUT)"'

figure: setup
	@test -n "$(F)" || { echo "which figure? make figure F=zero_gp/fig1"; exit 2; }
	$(LAB) figure $(F) scale=$(SCALE) 'out="$(OUT)"'

test: setup
	$(BIN)/pytest -n 2 --dist worksteal

test-fast: setup
	$(BIN)/pytest -n 2 --dist worksteal -m 'not seconds' tests/unit

slow-test: setup
	$(BIN)/pytest --slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(VENV)/.done

$(VENV)/.done: pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes --no-deps --requirement requirements.lock
	$(PIP) $(TORCH)
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@

lock: setup
	$(PIP) uv
	scripts/lock.sh $(BIN)/uv '$(TORCH)' $(LOCK)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
	@echo "runs and reports stay in $(OUT); see $(LAB) clean"
