# Everything is done from here; `make` alone lists it. Needs Go and a POSIX shell; the rest is installed by tools/deps.sh.
.POSIX:
.SUFFIXES:
.DEFAULT_GOAL := help
SHELL := /bin/sh

GO ?= go
# A regular expression over the benchmarks' names.
BENCH ?= .
# How many trials of the marathon of kill tests.
FAULTS ?= 100

GOLANGCI_LINT_VERSION := v2.15.0
WORKFLOWCHECK_VERSION := v0.6.0
COMPOSE_SPEC_VERSION := v2.16.2

TOOLS := bin/tools
# The version is part of the name: a new one is installed, an old one is never used.
GOLANGCI_LINT := $(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION)
WORKFLOWCHECK := $(TOOLS)/workflowcheck-$(WORKFLOWCHECK_VERSION)
COMPOSE_SPEC := $(TOOLS)/compose-spec-$(COMPOSE_SPEC_VERSION)

##@ Try it

.PHONY: help
help: ## List the targets
	@awk -f tools/help.awk $(MAKEFILE_LIST)

.PHONY: demo
demo: deps build ## Backfill the example on a local stack and show what came of it
	@tools/deps.sh example
	bin/perdure demo

.PHONY: demo-kill
demo-kill: deps build ## The same, with the worker killed twice in the middle
	@tools/deps.sh example
	bin/perdure demo --kill

.PHONY: dev
dev: deps build ## Run the example beside a local stack, with the Web UI, until Ctrl-C
	@tools/deps.sh example
	bin/perdure dev --config examples/flights/perdure.yaml examples/flights

##@ Change it

.PHONY: build
build: ## Compile everything; the CLI goes to bin/perdure
	$(GO) build ./...
	$(GO) build -o bin/perdure ./cmd/perdure

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the Go code
	$(GOLANGCI_LINT) fmt

.PHONY: generate
generate: ## Generate what is generated: bindings, schemas, their documentation
	$(GO) generate ./...

.PHONY: tidy
tidy: ## Tidy go.mod
	$(GO) mod tidy

.PHONY: replay-record
replay-record: deps ## Record a history of every workflow from this commit, to be replayed by the tests of later ones
	PERDURE_RECORD_HISTORIES=1 tools/run-test.sh TestRecordHistories ./workflows/...

##@ Check it

# Two packages at once: their tests start servers of their own.
.PHONY: test
test: deps ## Vet and test everything, on real servers
	tools/deps.sh curl
	tools/python.sh
	$(GO) vet ./...
	$(GO) test -p 2 -timeout 10m ./...

.PHONY: test-race
test-race: deps ## The same under the race detector; needs a C compiler
	tools/deps.sh curl
	tools/deps.sh race
	tools/python.sh
	CGO_ENABLED=1 $(GO) test -race -p 2 -timeout 20m ./...

.PHONY: lint
lint: lint-go lint-workflows lint-compose ## Read everything without running it

.PHONY: lint-go
lint-go: $(GOLANGCI_LINT)
	$(GOLANGCI_LINT) run

.PHONY: lint-workflows
lint-workflows: $(WORKFLOWCHECK)
	$(WORKFLOWCHECK) -config workflows/.workflowcheck.yaml ./workflows/...

.PHONY: lint-compose
lint-compose: $(COMPOSE_SPEC)
	$(COMPOSE_SPEC) -no-interpolation docker-compose.yml >/dev/null

.PHONY: verify
verify: ## Check that go.mod is tidy and that what is generated is up to date
	$(GO) mod verify
	$(GO) mod tidy -diff
	tools/verify-generated.sh

.PHONY: bench
bench: deps ## Measure plain Temporal beside Perdure into benchmarks/out/latest.json (BENCH=regexp)
	$(GO) run ./benchmarks -bench "$(BENCH)" -out benchmarks/out/latest.json

.PHONY: faults
faults: deps ## Kill processes at random moments and count what is lost (FAULTS=trials)
	$(GO) run ./faults -trials $(FAULTS)

##@ Look after it

.PHONY: deps
deps: ## Install what tests and the local stack need, where it is missing
	@tools/deps.sh

.PHONY: clean
clean: ## Remove what was built and the local stack's data
	rm -rf bin benchmarks/out .perdure

$(GOLANGCI_LINT):
	tools/install.sh github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION) $@

$(WORKFLOWCHECK):
	tools/install.sh go.temporal.io/sdk/contrib/tools/workflowcheck@$(WORKFLOWCHECK_VERSION) $@

$(COMPOSE_SPEC):
	tools/install.sh github.com/compose-spec/compose-go/v2/cmd@$(COMPOSE_SPEC_VERSION) $@
