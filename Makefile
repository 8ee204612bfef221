# `make` prints the targets. Tools that are not on the machine are installed into ./.local, which can be deleted.
.DEFAULT_GOAL := help
.PHONY: help run up-distributed install build check test test-sqlite lint fmt proto-lint deploy-lint docs audit golden bench canary soak record-alerts security fuzz kubernetes clean

CARGO ?= cargo
TOOLS := $(CURDIR)/.local/tools
DENY := $(TOOLS)/bin/cargo-deny
BUF := $(TOOLS)/node_modules/.bin/buf
MDBOOK := $(TOOLS)/bin/mdbook

help: ## print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## build and start everything in one process, with its data in ./data
	$(CARGO) run --release --locked -- up

install: ## put the command `portolan` on the PATH, as cargo does
	$(CARGO) install --locked --path services/all-in-one

build: ## build every binary, optimized
	$(CARGO) build --release --locked --workspace --bins

check: ## type-check everything
	$(CARGO) check --locked --workspace --all-targets

test: ## run every test, with private servers that are started and stopped
	deploy/dev/test-env.sh run sh -c '$(CARGO) test --locked --workspace --no-fail-fast && deploy/dev/test-six.sh'

up-distributed: ## start six processes behind Envoy on this machine, with Postgres, Redis and Kafka (LOG=postgres: without Kafka)
	deploy/local/up-distributed

test-sqlite: ## run every test that needs no server
	$(CARGO) test --locked --workspace

lint: ## formatting, clippy, contract, dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(MAKE) --no-print-directory proto-lint deploy-lint docs audit

fmt: ## format the sources
	$(CARGO) fmt --all

proto-lint: $(BUF) ## check the contract's style
	$(BUF) lint --config .buf.yaml

deploy-lint: ## check Kubernetes manifests, Envoy's configuration, alert rules and scripts
	deploy/lint

docs: $(MDBOOK) ## build the manual into target/book, and the documentation of the crates into target/doc
	$(MDBOOK) build docs
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --quiet --locked --workspace --no-deps --document-private-items

audit: $(DENY) ## check licenses, sources and duplicates of dependencies, and known vulnerabilities where reachable
	$(DENY) --locked check --hide-inclusion-graph bans licenses sources
	@if $(DENY) --locked fetch db >/dev/null 2>&1; then $(DENY) --locked check advisories; \
	else echo "audit: the advisory database cannot be reached from here; vulnerabilities were not checked"; fi

golden: ## rewrite the golden files; read the difference before committing it
	UPDATE_GOLDEN=1 $(CARGO) test --locked -p portolan-gateway
	UPDATE_GOLDEN=1 $(CARGO) test --locked -p portolan --test it -- sqlite::golden

bench: ## measure speed and memory, print one table of ratios (half an hour; sizes in deploy/dev/bench)
	deploy/dev/test-env.sh run deploy/dev/bench

security: ## print the security bar with the tests that hold each line
	@grep -v '^#' crates/testkit/tests/security.txt

canary: ## serve one tenant while another sends everything that is bad, for CANARY_SECONDS (600), in both forms
	PORTOLAN_CANARY_S=$${CANARY_SECONDS:-600} deploy/dev/test-env.sh run sh -c \
	    '$(CARGO) test --release --locked -p portolan --test it -- --test-threads=1 canary:: && deploy/dev/test-six.sh canary --release'

soak: ## six processes under a mixed load for SOAK_SECONDS (1800), then a table of everything that grew
	PORTOLAN_TEST_SCHEMATHESIS=none deploy/dev/test-env.sh run deploy/dev/soak

record-alerts: ## make the faults that alerts are for, and write their tests from what processes tell of them (22 minutes)
	$(CARGO) build --release --locked -p portolan
	PORTOLAN_TEST_SCHEMATHESIS=none PORTOLAN_TEST_ENVOY=none deploy/dev/test-env.sh run deploy/dev/record-alerts

fuzz: ## run each parser and the transcoder on changed inputs for FUZZ_SECONDS (60) each
	deploy/dev/fuzz

kubernetes: ## let a real API server judge the manifests; builds it by Go at the first time
	deploy/dev/api-server

clean: ## remove what was built and installed here
	$(CARGO) clean
	rm -rf .local

$(BUF):
	npm install --silent --no-fund --no-audit --prefix $(TOOLS) @bufbuild/buf@1.75.0

$(DENY):
	CARGO_PROFILE_RELEASE_OPT_LEVEL=1 $(CARGO) install --quiet --locked --root $(TOOLS) cargo-deny

$(MDBOOK):
	CARGO_PROFILE_RELEASE_OPT_LEVEL=1 $(CARGO) install --quiet --locked --no-default-features --version 0.5.4 --root $(TOOLS) mdbook
