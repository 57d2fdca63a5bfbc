# `make demo` runs the main job, `make test` passes the tests, `make help` lists the rest. Each of them first sets up
# what it needs in .venv, in this folder and nowhere else; later runs find it there.

PYTHON ?= python3
ARGS ?=
PIP_FLAGS ?=
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-done
GOAL := $(or $(firstword $(MAKECMDGOALS)),setup)

SUPPORTED := (3, 11) <= sys.version_info[:2] <= (3, 13)
VERSION_OF := -c 'import sys; print("%d.%d" % sys.version_info[:2])'

# A folder that was copied or moved brings a .venv that still points to the old place.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

# Only a PYTHON that somebody asked for may replace the one that .venv was made with.
ifneq ($(origin PYTHON),file)
ifneq ($(shell "$(PYTHON)" $(VERSION_OF) 2>/dev/null),$(shell $(BIN)/python $(VERSION_OF) 2>/dev/null))
RENEW := yes
.PHONY: $(STAMP)
endif
endif

# Each worker keeps to one core: without this, every worker starts as many threads as there are cores.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 \
	TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1

# TensorFlow's remarks on the CPU and on missing CUDA drivers would bury what the commands print.
TF_CPP_MIN_LOG_LEVEL ?= 3
export TF_CPP_MIN_LOG_LEVEL

.DEFAULT_GOAL := help
.PHONY: help demo quick test test-rest test-all peers setup lint format bench bench-full docs site coverage operators notebooks clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s  %s\n", $$1, $$2}' Makefile
	@echo
	@echo "  ARGS=\"...\"       further arguments:  make demo ARGS=\"--n 500\"   make test ARGS=\"-k cholesky\""
	@echo "  PYTHON=...       which Python:       make test PYTHON=python3.12"
	@echo "  PIP_FLAGS=\"...\"  arguments for pip install, such as an index of your own"
	@echo "  WORKERS=...      processes that run the tests (2)"

demo: $(STAMP) ## fit a Gaussian process to the CO2 series in all three frameworks
	$(BIN)/python -m overbar demo $(ARGS)

# tests/conftest.py says which test is in which of these.
PYTEST = $(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

quick: $(STAMP) ## run the tests of rules and sweep, and of each primitive in each framework (3 minutes)
	$(PYTEST) -m "quick and not slow" $(ARGS)

test: lint ## check the style, then run all tests that a change can break in the usual way
	$(PYTEST) -m "not slow" $(ARGS)

test-rest: $(STAMP) ## run the tests that `make test` leaves out
	$(PYTEST) -m slow $(ARGS)

test-all: lint ## check the style, then run every test, those of the wrappers for every primitive (an hour and a half)
	OVERBAR_TESTS=all $(PYTEST) $(ARGS)

# A library that cannot be had is left out, and its tests are skipped. GPflow asks for a NumPy older than ours, and runs
# beside ours.
peers: $(STAMP) ## test models of GPyTorch, BoTorch, Pyro, GPflow and TFP on our ops, as far as these can be installed
	@install() { \
		$(BIN)/python -m pip install --disable-pip-version-check --quiet $(PIP_FLAGS) -c constraints.txt "$$@" </dev/null || \
		echo "No $$*: what needs it is skipped." >&2; \
	}; \
	$(BIN)/python -c 'import tomllib; \
	print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["peers"], sep="\n")' | \
	while read -r wanted; do install "$$wanted"; done; \
	install --no-deps "gpflow>=2.10"
	$(ONE_THREAD) $(BIN)/python -m pytest tests/peers tests/notebooks -k "peers or botorch" $(ARGS)

setup: $(STAMP) ## make .venv with everything that overbar, its tests and its notebooks use

lint: $(STAMP) ## check the style
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

format: $(STAMP) ## correct the style where that can be done automatically
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

bench: $(STAMP) ## time overbar side by side with what the frameworks have built in
	$(BIN)/python -m overbar bench $(ARGS)

bench-full: $(STAMP) ## all benchmarks one after the other (an hour): tables, figures and a picture in build/bench
	$(BIN)/python -m overbar bench --full $(ARGS)

docs: $(STAMP) ## write what is generated: pages, tables, stubs, examples; then build the site, in build/site
	$(BIN)/python -m tools.docs
	$(BIN)/python -m tools.docs.pages
	$(BIN)/python -m tools.site

site: $(STAMP) ## build the site alone, from the documents as they are
	$(BIN)/python -m tools.site

coverage: $(STAMP) ## measure what each primitive can do and write docs/coverage.md
	$(BIN)/python -m overbar check --save docs/coverage.md

operators: $(STAMP) ## run PyTorch's operator database and write docs/operator_database.md
	$(BIN)/python -m tools.operator_database > docs/operator_database.md.new
	mv docs/operator_database.md.new docs/operator_database.md

# By nbclient's own interface, because its command keeps no option that leaves the times out: without them, a notebook
# whose results did not change does not change either.
notebooks: $(STAMP) ## execute the notebooks anew and save them with their outputs
	@set -e; for notebook in notebooks/*.ipynb; do echo "$$notebook"; \
	case $$notebook in *botorch*) $(BIN)/python -c 'import botorch' 2>/dev/null || { \
		echo "  is left out: botorch is not installed (make peers)"; continue; };; esac; \
	$(BIN)/python -c 'import sys, nbclient, nbformat; \
	book = nbformat.read(sys.argv[1], as_version=4); \
	[cell.metadata.pop("execution", None) for cell in book.cells]; \
	nbclient.NotebookClient(book, record_timing=False, resources={"metadata": {"path": "notebooks"}}).execute(); \
	nbformat.write(book, sys.argv[1])' "$$notebook"; done

clean: ## remove what building, testing and running left behind
	rm -rf build dist .pytest_cache .ruff_cache .mypy_cache overbar-*.png
	find . -path ./$(VENV) -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -exec rm -rf {} +

distclean: clean ## remove .venv, too
	rm -rf $(VENV)

# A .venv is taken over if its pip works and each package in it is complete (pip writes RECORD last), so that a setup
# that was interrupted goes on where it stopped, and a torch that somebody chose and installed there first stays.
$(STAMP): pyproject.toml constraints.txt
	@rm -f $@
	@if [ -z "$(RENEW)" ] && $(BIN)/python -c 'import sys, sysconfig, importlib.metadata as m, pip; \
	sys.exit(not ($(SUPPORTED) and all(d.read_text("RECORD") \
	for d in m.distributions(path=[sysconfig.get_path("purelib")]))))' 2>/dev/null; \
	then exit 0; fi; \
	if ! "$(PYTHON)" -c 'import sys; sys.exit(not ($(SUPPORTED)))' 2>/dev/null; then \
		found=$$("$(PYTHON)" $(VERSION_OF) 2>/dev/null) && found="is Python $$found" || found="does not run"; \
		echo "overbar needs Python 3.11, 3.12 or 3.13, and $(PYTHON) $$found."; \
		for p in python3.13 python3.12 python3.11; do $$p -c '' 2>/dev/null && better=$$p; done; \
		echo "Name one of these, for instance:  make $(GOAL) PYTHON=$${better:-python3.12}"; \
		[ -n "$$better" ] || echo "(None was found on this machine: install one first.)"; \
		exit 1; \
	fi >&2; \
	echo "Making $(VENV) with $$("$(PYTHON)" --version)"; \
	if ! "$(PYTHON)" -m venv --clear $(VENV); then \
		echo; \
		echo "$(PYTHON) cannot make a virtual environment. Install what it lacks (on Debian and Ubuntu the package"; \
		echo "python3-venv), or name another Python:  make $(GOAL) PYTHON=python3.12"; \
		exit 1; \
	fi >&2
	@if $(BIN)/python -c 'import importlib.metadata as m; m.version("torch"), m.version("tensorflow")' 2>/dev/null; \
	then echo "Bringing $(VENV) up to date with pyproject.toml and constraints.txt."; \
	else \
		echo "Installing NumPy, SciPy, PyTorch, TensorFlow and the tools into $(VENV), which takes some minutes:"; \
		echo "a download of about 1 GB, several GB where pip takes torch built for CUDA, as it does on Linux by default."; \
	fi
	@if [ -t 1 ]; then quiet=; else quiet=--quiet; fi; \
	install() { \
		$(BIN)/python -m pip install --disable-pip-version-check $$quiet $(PIP_FLAGS) -c constraints.txt "$$@"; \
	}; \
	install hatchling && install --no-build-isolation -e '.[all]' || { \
		echo "The setup did not finish. Run the same command again: it goes on where it stopped." >&2; exit 1; }
	@echo "$(CURDIR)" > $@
	@echo "Setup done."
