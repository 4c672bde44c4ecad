# Two commands do all the set-up on a fresh Debian machine: `make demo` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt
MANAGE := $(BIN)/python manage.py
BIND ?= 127.0.0.1:8000
export DJANGO_SETTINGS_MODULE ?= config.settings.dev
export OMP_NUM_THREADS ?= 2

.PHONY: demo test heavy check format vllm clean
.DELETE_ON_ERROR:

demo: $(VENV)/.app ## environment, database, real sample data, nano model, then web and worker
	@$(MANAGE) vendor_assets
	@$(MANAGE) demo --serve $(BIND)

# tests/order.py says which files stay together and come first, so that no process waits for another at the end.
test: export OMP_NUM_THREADS = 1
test: $(VENV)/.dev ## everything that the tests need, then the whole suite, data layer on PostgreSQL too
	@.ci/debian chromium="command -v chromium" postgresql="ls /usr/lib/postgresql/*/bin/initdb"
	@.ci/vllm .venv-vllm
	@$(MANAGE) vendor_assets
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m tests.postgres -- $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m data_layer \
	  $$(grep -rl data_layer --include='test_*.py' tests)

heavy: export OMP_NUM_THREADS = 1
heavy: $(VENV)/.dev ## proofs that take minutes: kills at random moments, real servers, known optima
	@.ci/vllm .venv-vllm
	$(BIN)/python -m pytest -n 2 --dist loadfile -m heavy

check: $(VENV)/.dev ## formatting, lint, types, import contracts, migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	DJANGO_SETTINGS_MODULE=config.settings.test $(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(MANAGE) makemigrations --check --dry-run

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/bin/python:
	@.ci/debian python3-venv="$(PYTHON) -c 'import ensurepip, venv'"
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { echo "Prefloop needs Python 3.11 or later; $(PYTHON) is older."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch comes first and by itself: with it in place, nothing pulls another build of it.
$(VENV)/.app: pyproject.toml .ci/constraints.txt | $(VENV)/bin/python
	$(PIP) torch==2.13.0
	$(PIP) --editable ".[train]"
	@touch $@

$(VENV)/.dev: $(VENV)/.app
	$(PIP) --editable ".[train,trackers,dev]"
	@touch $@

vllm: ## vLLM for the CPU in an environment of its own, for rollouts and evaluations
	@.ci/vllm .venv-vllm

clean: ## remove the environment; the data under var/ stays
	rm -rf $(VENV)
