# The two commands are `make train` and `make test`. Everything is installed in .venv, nothing outside this folder.

VENV := .venv
BIN := $(VENV)/bin
RUN ?= runs/quickstart
SEED ?= 0

PYTHON := $(shell for python in python3.11 python3 python3.12 python3.13; do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& { echo $$python; break; }; done)
PIP := $(shell if command -v uv >/dev/null; then echo uv pip install --quiet --python $(BIN)/python; \
	else echo $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check; fi)

.PHONY: train self-play camera $(SETS) test test-long lint format docs lock clean

train: $(VENV)/.runtime ## convert the shipped recordings, train, evaluate; continues a run that was interrupted
	$(BIN)/drivetrain train quickstart $(if $(wildcard $(RUN)/config.json),--resume $(RUN),--out $(RUN) --seed $(SEED))

self-play: $(VENV)/.runtime ## a driver from an empty town; continues a run that was interrupted
	$(BIN)/drivetrain train self-play $(if $(wildcard runs/self-play/config.json),--resume runs/self-play,--out runs/self-play --seed $(SEED))

camera: $(VENV)/.dev ## a camera's network from rendered pictures; continues a run that was interrupted
	$(MAKE) -j2 $(SETS)
	$(BIN)/drivetrain perception train $(LEARNT:%=build/camera/%) --out runs/camera
	$(BIN)/drivetrain perception test runs/camera $(UNSEEN:%=build/camera/%) datasets/camera/udacity datasets/camera/carla

# Pictures to learn from, and pictures of other maps with other things beside the road: two sets are drawn at a time.
LEARNT := freeway62 freeway90 towns62 towns90
UNSEEN := unseen-town unseen-streets
SETS := $(LEARNT) $(UNSEEN)
DRAW = $(BIN)/drivetrain data render $< --out build/camera/$@ --width 640 --height 384
WIDELY = --look.jitter.shift 0.4 0.4 0.25 --look.jitter.tilt 0.04 0.02 0.05

freeway62: build/camera/us101
	$(DRAW) $(WIDELY) --pictures 900 --degrees 62 --seed 1
towns90: build/camera/towns
	$(DRAW) $(WIDELY) --pictures 800 --degrees 90 --seed 2
freeway90: build/camera/us101
	$(DRAW) $(WIDELY) --pictures 500 --degrees 90 --seed 3
towns62: build/camera/towns
	$(DRAW) $(WIDELY) --pictures 600 --degrees 62 --seed 4
unseen-town: build/camera/town03
	$(DRAW) --laying.seed 7 --pictures 120 --degrees 75 --seed 11
unseen-streets: build/camera/streets
	$(DRAW) --laying.seed 7 --pictures 120 --degrees 70 --seed 12

build/camera/us101:
	$(BIN)/drivetrain data convert commonroad 'datasets/ngsim/scenes/USA_US101*' --out $@ --workers 1
build/camera/streets:
	$(BIN)/drivetrain data convert commonroad 'datasets/ngsim/scenes/USA_Lanker*' 'datasets/ngsim/scenes/USA_Peach*' --out $@ --workers 1
build/camera/towns:
	$(BIN)/drivetrain data convert opendrive datasets/towns/maps/Town0[126]* --out $@ --workers 1
build/camera/town03:
	$(BIN)/drivetrain data convert opendrive datasets/towns/maps/Town03* --out $@ --workers 1

test: $(VENV)/.dev ## everything but the long campaigns
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

test-long: $(VENV)/.dev ## kill and fuzz campaigns
	$(BIN)/python -m pytest -q -m long

lint: $(VENV)/.dev ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev ## build/docs/index.html
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs

# Hashed pins of every package, for every Python and platform, without the name of an index.
lock:
	echo hatchling | uv pip compile $(LOCK) -o requirements.lock
	echo hatchling | uv pip compile $(LOCK) --extra dev -c requirements.lock -o requirements-dev.lock

LOCK = --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	--upgrade pyproject.toml -

clean:
	rm -rf $(VENV) build .cache

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/.made
	@echo "installing Drivetrain in $(VENV)"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "installing the tools of development in $(VENV)"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "Drivetrain needs Python 3.11, 3.12 or 3.13 with its venv module" \
		"(install python3.11 and python3.11-venv, or put them on PATH)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@
