# Every target sets up what it needs, in .venv; on a fresh machine only python3 and make must be there.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help train test check fix bench
help:
	@echo "make train   train the quick-start on built-in scenes (two minutes on a CPU)"
	@echo "make test    run the tests, with coverage"
	@echo "make check   formatting, lint, types, import contracts"
	@echo "make fix     format, and mend what the linter can"
	@echo "make bench   time training and evaluation against what is usual (a quarter of an hour, 12 GB of memory)"

train: .venv/ready
	$(BIN)/python train.py --config configs/quickstart.yaml

# These have a process of their own: after other tests in one, jsonargparse has lost a signature, and a signaled worker died.
ALONE := tests/test_workers.py tests/test_config.py tests/test_configs.py tests/test_ablation.py
test: .venv/ready
	$(BIN)/python -m pytest --cov --cov-report= $(ALONE)
	$(BIN)/python -m pytest -n auto --cov --cov-append --cov-report=term-missing:skip-covered --cov-fail-under=90 \
		$(ALONE:%=--ignore=%)

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

fix: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/ready
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/evaluation.py

.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 14) or sys.exit("gancolor needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is %d.%d: make PYTHON=…" % v[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[dev]'
	@touch $@
