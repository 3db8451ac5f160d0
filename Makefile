# `make run` and `make test` are all that a newcomer needs; each installs what it misses and says so.
TARGET := $(or $(CARGO_TARGET_DIR),target)
PYTHON ?= python3
# Arguments for the program: `make run ARGS="--config my.toml"`.
ARGS ?=

.PHONY: help run test lint bench release doctor docker up clean
.DEFAULT_GOAL := help

help: ## Lists the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: ## Installs what the build needs, builds in release, serves the demo room on http://127.0.0.1:8080
	@$(PYTHON) tools/packages.py build
	cargo build --locked --release --bin mixdown
	exec $(TARGET)/release/mixdown serve --dev $(ARGS)

test: ## Installs what the tests need and runs all of them
	@$(PYTHON) tools/packages.py build
	@$(PYTHON) tools/check.py

lint: ## The quick checks alone: format, clippy, documentation, configuration
	@$(PYTHON) tools/packages.py build
	@$(PYTHON) tools/check.py --lint

bench: ## Criterion benches of every stage
	@$(PYTHON) tools/packages.py build
	cargo bench --locked --workspace $(ARGS)

release: ## The program, optimised: target/release/mixdown
	@$(PYTHON) tools/packages.py build
	cargo build --locked --release --bin mixdown
	@$(TARGET)/release/mixdown --version

doctor: ## Says what is wrong with this machine for serving
	@$(PYTHON) tools/packages.py build --check || true
	cargo build --locked --release --bin mixdown
	$(TARGET)/release/mixdown doctor $(ARGS)

docker: ## The container image mixdown:latest
	docker build -t mixdown:latest .

up: ## Mixdown with TURN, Prometheus and Grafana in containers
	@$(PYTHON) tools/dotenv.py
	docker compose up --build --detach

clean: ## Removes what was built
	cargo clean
	rm -rf artifacts .venv tests/browser/node_modules
