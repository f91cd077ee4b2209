# make install   a virtual environment in .venv with the pinned dependencies
# make verify    pytest verify/, ending in the table of verdicts   (PROFILE=quick|standard|thorough)
# make test      all tests of the software and pytest verify/
# make ledger    recompute and write notes/ledger.json, notes/ledger.md and what follows from them
# make lint      ruff and mypy
# make bench     times of the derivations and of the exact risks, beside what they are held to
# make figures   the figures of notes/
# make wheel     build/wheel: a package that works without the clone
# make docs      build/docs: the reference of theory, numerics and verify.claims, from the docstrings
# make mutants small changes of the code, one at a time: do the tests notice?   (an hour)
# make fuzz      10 000 cases of bad input to the public functions, 1000 on the command line
# make calibrate  how often the sampled checks err on statements of known truth: notes/calibration.md
# make seeds     20 runs of pytest verify/ with different base seeds: the same verdicts?

PYTHON ?= python3
VENV ?= .venv
PROFILE ?= standard
# Of pyproject.toml, with commas: dev,cluster,gpt2,parquet are all; their tests are skipped without them.
EXTRAS ?= dev
# One worker a core, at most 4: each imports SymPy and torch and holds about 1 GB.
PYTEST := -m pytest -n auto --maxprocesses 4 --dist worksteal
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install verify test ledger lint bench figures wheel docs fuzz mutants calibrate seeds clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@

verify: $(STAMP)
	$(BIN)/python $(PYTEST) verify/ --profile $(PROFILE)

test: $(STAMP)
	$(BIN)/python $(PYTEST) tests/ verify/ --profile $(PROFILE)

ledger: $(STAMP)
	$(BIN)/python $(PYTEST) verify/ --profile standard --base-seed 0 --update-ledger
	$(BIN)/python -m verify.routes.report
	$(BIN)/python -m verify.output.derivations
	$(BIN)/python -m verify.output.errata
	$(BIN)/python -m verify.output.readme
	$(BIN)/python -m verify.output.verdicts

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

figures: $(STAMP)
	$(BIN)/lsatheory overthinking --out notes/figures/overthinking.png
	$(BIN)/lsatheory stability --out notes/figures/stability.png
	$(BIN)/python -m verify.output.plan_phase notes/figures/plan-phase.png
	$(BIN)/python -m verify.output.policy_gradient_figure notes/figures/policy-gradient.png
	$(BIN)/python -m verify.output.os_finite_figure notes/figures/os-finite.png
	for number in 1 2 5; do $(BIN)/lsatheory figure $$number --out notes/figures || exit 1; done

# build/lib is removed, for what an earlier call left there would be in the wheel.
wheel: $(STAMP)
	rm -rf build/lib build/wheel
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir build/wheel .

docs: $(STAMP)
	$(BIN)/python docs/build.py build/docs

bench: $(STAMP)
	$(BIN)/python tests/bench.py

mutants: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python tests/code_mutants.py

fuzz: $(STAMP)
	LSATHEORY_FUZZ=10000 $(BIN)/python $(PYTEST) tests/test_fuzz.py tests/test_fuzz_cli.py

calibrate: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m verify.calibration

seeds: $(STAMP)
	$(BIN)/python -m verify.seeds

clean:
	rm -rf $(VENV) .lsatheory mutants build *.egg-info
