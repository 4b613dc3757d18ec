# The whole set-up: `make up` brings the local stack up, `make test` runs all tests. Each can be run again at any time.
export MAKE_STARTED := $(shell date +%s)
# The last line that a user sees is ours, not make's.
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# In this checkout's own bundles: tsx keeps what it compiles in /tmp, where another user may have put something before.
RUN := node bin/entry.js
# Node's own such cache, which tsc and npm turn on.
export NODE_DISABLE_COMPILE_CACHE := 1
# In a container no lock of a stack is known to be dead, unless its name is one by its ID (src/checkout/lock-holder.ts): tests have one.
OWN_NAME := $(shell [ "$$(readlink /proc/self/ns/pid)" = 'pid:[4026531836]' ] || hostname | grep -qxE '[0-9a-f]{12}' || ! unshare --uts hostname >/dev/null 2>&1 || echo unshare --uts sh -c "'hostname 0123456789ab; exec \"\$$@\"'" sh)
# Not by npx, which writes a log into the home of its user each time.
VITEST := $(OWN_NAME) node_modules/.bin/vitest run
REPORT := --reporter=verbose --reporter=json --outputFile.json=test-results
# Guests lose their power by this make's own FORCE=yes alone, not by one that was exported for another tool.
ifneq ($(origin FORCE),command line)
unexport FORCE
endif
# Under this environment plain `pulumi` works: engine, plugins, state, passphrase.
IN_ENV := env=$$($(RUN) make/env.ts) && eval "$$env" &&

.PHONY: help up down clean env test unit e2e long sweep others kills bench check prepare packages test-packages test-programs toolchain

help: ## Say what there is to make
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

up: prepare ## Bring the local stack up; ends with a line that says how to get in
	@$(IN_ENV) $(RUN) make/up.ts

down: node_modules/.built ## Shut the local VMs down and take the embedded host away; disks stay
	@$(RUN) make/down.ts

clean: node_modules/.built ## Ask, then remove the local VMs, their disks and this checkout's state
	@$(RUN) make/clean.ts

env: prepare ## Print what makes plain pulumi work in a shell: eval "$$(make -s env)"
	@$(RUN) make/env.ts

test: check unit e2e ## Run all tests but the long ones

check: node_modules/.built ## Types, lint, format, what nothing uses, and links of the docs
	@node_modules/.bin/tsc -p .
	@node_modules/.bin/knip --no-progress
	@XDG_CACHE_HOME=$(CURDIR)/node_modules/.cache node_modules/.bin/biome check --error-on-warnings .
	@node_modules/.bin/vitest run --project unit --reporter=dot tests/unit/ci/doc-links.test.ts

unit: test-packages node_modules/.built ## Unit tests
	@$(VITEST) --project unit $(REPORT)/unit.json

# The same edits and kills each time: chance is for `make sweep` and `make kills`. SHUFFLE=<number> has the files run in a random order.
e2e: prepare test-programs ## End-to-end tests, with the real engine and real VMs
	@$(IN_ENV) SWEEP_SEED=$${SWEEP_SEED:-1352147254} KILLS_SEED=$${KILLS_SEED:-1} $(VITEST) --project e2e $(REPORT)/e2e.json --reporter=./tests/setup/seconds-reporter.ts

long: prepare test-programs ## The end-to-end tests that boot guests again and again: an hour where guests are emulated
	@$(IN_ENV) $(VITEST) --project long $(REPORT)/long.json --reporter=./tests/setup/seconds-reporter.ts

sweep: prepare ## 200 generated config edits, each with a look at all data; SWEEP_SEED=... repeats them
	@$(IN_ENV) SWEEP_EDITS=$${SWEEP_EDITS:-200} $(VITEST) --project e2e tests/e2e/edits.test.ts

others: prepare ## 100 generated config edits, each after something that was done by virsh past the product; SWEEP_SEED=... repeats them
	@$(IN_ENV) SWEEP_OTHERS=1 SWEEP_EDITS=$${SWEEP_EDITS:-100} $(VITEST) --project e2e tests/e2e/edits.test.ts

kills: prepare ## 200 kills of the engine at random moments, each recovered by plain pulumi; KILLS_SEED=... repeats them
	@$(IN_ENV) KILLS=$${KILLS:-200} $(VITEST) --project e2e tests/e2e/killed-engine.test.ts

bench: prepare ## Times, side by side with what else does the job
	@$(IN_ENV) $(RUN) bench/main.ts

prepare: packages node_modules/.built toolchain

packages:
	@toolchain/debian-packages.sh >&2

test-packages:
	@toolchain/debian-packages.sh zsh fish shellcheck >&2

test-programs: prepare
	@$(RUN) tests/setup/build-programs.ts

node_modules/.built: package-lock.json sdks/libvirt/package.json
	@toolchain/node-packages.sh >&2
	@touch $@

toolchain: node_modules/.built
	@$(RUN) make/toolchain.ts >&2
