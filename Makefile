# SPDX-License-Identifier: GPL-2.0-only
# Two commands on a fresh machine: make demo, make test. Everything is set up in .venv.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready

.PHONY: demo test test-unit check test-c test-c-maps test-review test-linux test-sched test-sched-port base quality bench campaign cdefs docs docs-samples doctor clean setup

setup: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: Python 3.11 or newer is needed; $(PYTHON) is older. Give one: make PYTHON=python3.12"; exit 1; }
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "make: python's venv module is missing (Debian: apt-get install python3-venv)"; exit 1; }
	@$(BIN)/pip install -q --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: setup
	@$(BIN)/kemu demo

test: setup
	@$(BIN)/pytest -n auto --dist worksteal tests/unit tests/integration tests/property tests/fidelity -m 'not slow and not linux'

# unit tests of one package (make test-unit PACKAGE=linux/fs) or of all, each on one core, and the processor time that they take
test-unit: setup
	@$(BIN)/python -m tests.times $(PACKAGE)

check: setup
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@cd examples/cramfs && $(abspath $(BIN))/mypy && $(abspath $(BIN))/lint-imports --no-cache

# the kernel's own C, compiled and run in this process
test-c: setup
	@$(BIN)/pytest -m "not review" tests/c

# wrong patches to fs/erofs and init/initramfs.c are found by kemu review, and right ones are not: a minute for each
test-review: setup
	@$(BIN)/pytest -m review tests/c

# every extent's edges and so many pairs of image and offset: the port's map functions against the C's
test-c-maps: setup
	@KEMU_PAIRS=$(or $(PAIRS),100000) $(BIN)/pytest -s tests/c/test_map.py

test-linux: setup
	@$(BIN)/pytest tests/uml
	@cd examples/cramfs && $(abspath $(BIN))/pytest -m linux tests/linux

# races put into the kernel are found; every experiment of chosen schedules is quiet on unchanged Linux
test-sched: setup
	@$(BIN)/pytest -m "not port" tests/sched

# what the port has found that rests on a schedule: Linux shows it, too
test-sched-port: setup
	@$(BIN)/pytest -m port tests/sched

# a search of unchanged Linux: what it finds is described in docs/explanation/findings-about-linux.md
base: setup
	@$(BIN)/pytest tests/quality/test_base.py

quality: setup
	@$(BIN)/pytest -n auto --dist worksteal tests/quality

bench: setup
	@$(BIN)/python -m benchmarks

# rows of segments: cut, and booted and compared whole
campaign: setup
	@$(BIN)/kemu fuzz layered.offsets --examples $(or $(EXAMPLES),100000) --workers $(or $(WORKERS),2)
	@$(BIN)/kemu fuzz layered.merge --examples $(or $(EXAMPLES),100000) --workers $(or $(WORKERS),2)

# what README and docs/ print, from what the commands print
docs-samples: setup
	@$(BIN)/python -m tests.samples --write --slow

# C definitions, parsed into modules
cdefs: setup
	@$(BIN)/python -c 'import erofs_memback.erofs_fs, kemu.linux.lz4, kemu.linux.xz, kemu.linux.zstd, kemu.linux.lib.zlib_inflate.inflate; from kemu.machine import cdefs; print("\n".join(map(str, cdefs.write_all())) or "all are up to date")'

# the site: build/site/index.html, which needs no server and nothing from outside
docs: setup
	@$(BIN)/python -c 'import sphinx, myst_parser, furo' 2>/dev/null || $(BIN)/pip install -q --disable-pip-version-check -e '.[dev,docs]'
	@$(BIN)/python docs/generate.py build/docs
	@$(BIN)/sphinx-build -q -W --keep-going -j auto -b html build/docs build/site
	@echo build/site/index.html

doctor: setup
	@$(BIN)/kemu doctor

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis
