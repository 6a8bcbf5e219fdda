# Everything that is done to this repository, by hand or by continuous integration (.ci/run).

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 30s
TESTARGS ?=

.DEFAULT_GOAL := help
.PHONY: help deps check test e2e bench faults fuzz build image

help: ## lists the targets
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-6s %s\n", $$1, $$2}'

deps: ## finds what tests need (redis-server, Chromium, npm packages, Keycloak) and installs what is missing
	@.ci/deps test e2e

check: ## formatting, go vet, golangci-lint, and known vulnerabilities where their database is reachable
	@.ci/check

test: ## Go tests with the race detector (TESTARGS='-run X -v')
	@.ci/deps test
	go test -race -timeout 15m $(TESTARGS) ./...

e2e: ## whole journeys with foreign providers, relying parties and Chromium, and a short round of faults (SCREENSHOTS=folder keeps the pictures)
	@.ci/deps e2e
	go test -tags e2e -count=1 -timeout 20m $(TESTARGS) ./cmd/drawbridge/e2e
	go test -tags faults -count=1 -timeout 5m -run 'TestShortRound|TestBugsFit' ./cmd/drawbridge/faults

bench: ## benchmarks of the packages, then of the whole process
	@.ci/deps test
	go test -run '^$$' -bench . -benchmem -timeout 30m ./...
	go test -tags bench -count=1 -timeout 30m -v ./cmd/drawbridge/bench

faults: ## rounds of faults over every store, and six planted bugs that must be found (SEED=n repeats one)
	@.ci/deps test
	SEED=$(SEED) go test -tags faults -count=1 -timeout 30m -parallel 3 -skip TestShortRound -v $(TESTARGS) ./cmd/drawbridge/faults

fuzz: ## every fuzz test for FUZZTIME (30s)
	@.ci/fuzz $(FUZZTIME)

build: ## the static binary, as .build/drawbridge
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o .build/drawbridge ./cmd/drawbridge

image: ## the container image drawbridge:VERSION
	docker build --build-arg VERSION=$(VERSION) --tag drawbridge:$(VERSION) .
