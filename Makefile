# Two commands do everything: `make demo` shows the main job on a machine of its own, `make test` passes the tests.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
KERNELS ?= 6.1 6.12
VM_TESTS ?= vm and not smoke

.PHONY: demo test test-vm test-image lint format differential bench prove soak fuzz mutation docs tools clean

demo: $(VENV)/ready
	$(BIN)/python -m tests.vm --setup
	$(BIN)/python -m tests.demo

test: $(VENV)/ready
	-$(BIN)/python -m tests.vm --setup
	$(BIN)/pytest -m "(not vm and not image) or smoke"

test-vm: $(VENV)/ready
	$(BIN)/python -m tests.vm --setup
	PINFOLD_TEST_KERNELS="$(KERNELS)" $(BIN)/pytest -m "$(VM_TESTS)"

test-image: $(VENV)/ready
	$(BIN)/pytest -m image

lint: $(VENV)/ready
	$(BIN)/pytest tests/test_house.py

format: $(VENV)/ready
	$(BIN)/ruff check --fix daemon tests
	$(BIN)/ruff format daemon tests

differential: $(VENV)/ready
	$(BIN)/python -m tests.vm --setup
	$(BIN)/python -m tests.differential $(if $(SEED),--seed $(SEED)) $(if $(STEPS),--steps $(STEPS)) $(if $(KERNEL),--kernel $(KERNEL)) $(if $(JSON),--json $(JSON))

docs: $(VENV)/ready
	$(BIN)/python -m tests.report.metrics_page
	$(BIN)/python -m tests.cli.man_page
	$(BIN)/python -m tests.docs.configuration
	$(BIN)/python -m tests.deploy.manifests

# What some tests need, and are skipped without: a browser; promtool and prometheus, buildah, helm.
tools: $(VENV)/ready
	-command -v chromium || { apt-get update -q && apt-get install -y --no-install-recommends chromium; }
	-command -v prometheus && command -v buildah && command -v mmdebstrap \
	  || { apt-get update -q && apt-get install -yq --no-install-recommends prometheus buildah mmdebstrap; }
	-command -v $(abspath $(BIN))/helm || GOBIN=$(abspath $(BIN)) go install helm.sh/helm/v3/cmd/helm@v3.22.0

bench: $(VENV)/ready
	$(BIN)/python -m tests.bench $(if $(ALL),--all) --json build/bench.json
	$(BIN)/python -m tests.bench.bench_cli

# A new pip, since Debian 12's knows no dependency groups.
$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV) || { apt-get install -y --no-install-recommends python3-venv && $(PYTHON) -m venv $(VENV); }
	$(BIN)/pip install -q --upgrade pip
	$(BIN)/pip install -q -e '.[dbus,grpc]' --group dev
	touch $@

prove: $(VENV)/ready
	$(BIN)/python -m tests.vm --setup
	mkdir -p build
	$(BIN)/python -m tests.prove $(if $(SECONDS_EACH),--seconds $(SECONDS_EACH)) $(if $(KERNEL),--kernel $(KERNEL)) --json build/prove.json

soak: $(VENV)/ready
	$(BIN)/python -m tests.soak $(if $(SECONDS_IN_ALL),--seconds $(SECONDS_IN_ALL)) $(if $(SEED),--seed $(SEED))

fuzz: $(VENV)/ready
	$(BIN)/pip install -q --group fuzz
	$(BIN)/python -m tests.fuzz $(if $(SECONDS_EACH),--seconds $(SECONDS_EACH))

mutation: $(VENV)/ready
	$(BIN)/pip install -q --group mutation
	$(BIN)/python -m tests.mutation $(if $(PART),--part $(PART)) $(if $(EVERY),--every $(EVERY))

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
