# The whole project from a fresh machine that has only python3 and pip.
# No GPU? `PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make setup` fetches the small CPU build of torch (README).
PYTHON ?= python3
VENV ?= .venv
PIP ?= $(VENV)/bin/python -m pip
SEED ?= 0
OUT ?= demo-output$(if $(filter-out 0,$(SEED)),-$(SEED))
STAMP := $(VENV)/.installed
DOCS ?= .venv-docs

.PHONY: setup demo test check kill study-kills hostile cluster clients docs docs-check wheel clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet -c constraints.txt -e ".[dev]"
	touch $@

demo: setup
	$(VENV)/bin/understudy demo --out $(OUT) --seed $(SEED)

# two processes, with one thread each; they keep what they compile, whatever the environment says
test: setup
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2 --dist loadfile

# kill -9 ten times at random moments of import, train and sample, and of screen, report and release at chosen writes,
# where the disk is full or permission lost, too: the same bytes as an uninterrupted run; two at once in one folder
kill: setup
	UNDERSTUDY_KILLS=10 $(VENV)/bin/python -m pytest tests/test_kill.py tests/release/test_interruptions.py

# a small study, its runner and its stages killed at twenty random moments: the same bytes as an undisturbed one
study-kills: setup
	$(VENV)/bin/python benchmarks/study_kills.py --kills 20 --out study-kills

# 400 hostile files in the place of every document that a verb reads: one sentence each
hostile: setup
	UNDERSTUDY_HOSTILE=1 $(VENV)/bin/python -m pytest tests/release/test_hostile.py

# a study through Snakemake on a real SLURM, this machine's or one brought up on 127.0.0.1, and by the local runner: the
# same bytes; a job that is cancelled goes on. Skipped with the reason where there is no SLURM
cluster: setup
	$(VENV)/bin/python benchmarks/cluster/check.py

# bundles in every form, given to other people's software, each in an environment of its own; writes docs/clients.md.
# A client that is not there is skipped with the reason
clients: setup
	$(VENV)/bin/python benchmarks/clients/check.py --install --write

# the site of docs/ into site/, by mkdocs-material in an environment of its own; broken links fail, nothing is downloaded
docs: $(DOCS)/.installed
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build

$(DOCS)/.installed: docs/requirements.txt
	test -x $(DOCS)/bin/python || $(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet -r docs/requirements.txt
	touch $@

# the built site: nothing from other hosts, every page in a real browser, search, built again without network
docs-check: setup docs
	UNDERSTUDY_SITE=1 $(VENV)/bin/python -m pytest tests/test_site.py

# wheel and sdist, installed in an empty environment outside the repository and used as the documents say; needs an
# index of packages, 3 GB and half an hour
wheel: setup
	$(VENV)/bin/python benchmarks/wheel.py

check: setup
	$(VENV)/bin/ruff check src tests $(wildcard benchmarks)
	$(VENV)/bin/ruff format --check src tests $(wildcard benchmarks)
	$(VENV)/bin/mypy

clean:
	rm -rf .pytest_cache .mypy_cache .ruff_cache build dist src/*.egg-info
