# The two commands:
#   make demo   a simulated ALOHA lifts a bar again and again: an ACT policy through the real daemon
#   make test   lint, types, import contracts and the quick tests
#
# And one to read: make docs, the site of docs/ in outputs/site.
#
# Each makes .venv and installs what is missing first. Settings:
#   PYTHON=python3.12   the interpreter to build .venv with
#   TORCH_INDEX=URL     a package index to take torch from as well. On Linux the default index
#                       serves torch with gigabytes of CUDA; PyTorch's own CPU index does not
#                       (its address: "Get started" on the PyTorch site, Pip, CPU)
#   DEMO='--seconds 60 --headless'   options for the demo

SHELL := /bin/sh
BIN := .venv/bin
EXTRAS_demo := cpu,demo,report
EXTRAS_dev := cpu,demo,docs,export,foxglove,openvino,record,report,top,dev
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--constraint constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: demo docs test test-all test-lerobot-0.6 deb check clean deps deps-all

demo: deps .venv/installed-demo
	$(BIN)/actd demo $(DEMO)

test: deps check
	$(BIN)/python -m pytest

# The quick tests, then those that take minutes, boot a private systemd, break things on purpose,
# watch for growth (5 minutes here; an hour by default), build TensorRT plans without a GPU, or ask
# LeRobot itself.
test-all: deps-all test .venv-tensorrt/ready .venv-lerobot/ready
	$(BIN)/python -m pytest -m "slow or systemd"
	$(BIN)/python -m pytest -m faults
	ACTD_SOAK_SECONDS=300 $(BIN)/python -m pytest -m soak
	ACTD_TENSORRT_PACKAGES=$(CURDIR)/.venv-tensorrt $(BIN)/python -m pytest -m tensorrt
	ACTD_LEROBOT_PYTHON=$(CURDIR)/.venv-lerobot/bin/python $(BIN)/python -m pytest -m lerobot

# LeRobot as it is installed today, with its own torch: 6 GB, Python 3.12 or newer. Not in test-all.
test-lerobot-0.6: .venv/installed-dev .venv-lerobot-0.6/ready
	ACTD_LEROBOT_PYTHON=$(CURDIR)/.venv-lerobot-0.6/bin/python $(BIN)/python -m pytest -m lerobot tests/plugins tests/drive tests/datasets tests/cameras

.venv-lerobot-0.6/ready: scripts/make-lerobot-venv
	@echo "installing LeRobot 0.6.1 into .venv-lerobot-0.6: 6 GB, minutes the first time"
	@LEROBOT=0.6.1 scripts/make-lerobot-venv .venv-lerobot-0.6
	@touch $@

.venv-lerobot/ready: scripts/make-lerobot-venv
	@echo "installing LeRobot into .venv-lerobot: minutes the first time"
	@scripts/make-lerobot-venv .venv-lerobot
	@touch $@

.venv-tensorrt/ready: scripts/make-tensorrt-packages | .venv/installed-dev
	@echo "bringing TensorRT's packages into .venv-tensorrt: a minute or two the first time"
	@PYTHON=$(BIN)/python scripts/make-tensorrt-packages .venv-tensorrt
	@touch $@

# The Debian package, for the release and the processor of this computer.
deb: .venv/installed-dev
	scripts/make-deb

check: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/installed-dev
	$(BIN)/mkdocs build --strict

deps:
	@scripts/system-deps

deps-all:
	@scripts/system-deps --for-all-tests

clean:
	rm -rf .venv .venv-lerobot .venv-lerobot-0.6 .venv-tensorrt build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/bin/pip:
	@scripts/make-venv

# The dev extras hold the demo's, so `make demo` after `make test` installs nothing.
.venv/installed-%: pyproject.toml constraints.txt | .venv/bin/pip
	@echo "installing actd[$(EXTRAS_$*)] into .venv: minutes the first time"
	@$(INSTALL) --editable '.[$(EXTRAS_$*)]'
	@touch $@ $(if $(filter dev,$*),.venv/installed-demo)
