# Two commands are enough: `make run` and `make test`. `make` alone lists the rest.
.DEFAULT_GOAL := help
.PHONY: help run run-kafka test check bench bench-search spike-test stress-test screenshot

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## install what is missing, build, start on http://127.0.0.1:1323
	@exec scripts/run.sh

run-kafka: ## the same behind an Apache Kafka of its own
	@exec scripts/run-kafka.sh

test: ## install what is missing, run all tests on private servers
	@scripts/install.sh postgres kafka chromium build
	@scripts/kafka.sh fetch >/dev/null
	@cargo test --locked
	@echo "The benches, small and unoptimised: whether they run, not how fast."
	@BENCH_RECORDS=2000 cargo bench --quiet --locked --profile dev --bench bench >/dev/null
	@BENCH_ONLY=load,quiet BENCH_RECORDS=20000 BENCH_REPEATS=1 cargo bench --quiet --locked --profile dev --bench search >/dev/null

check: ## formatting, lints, licences, shell scripts
	@cargo fmt --check
	@cargo clippy --locked --all-targets -- -D warnings
	@scripts/check-licences.sh
	@! scripts/check-licences.sh tests/fixtures/licences-bad.txt >/dev/null || { echo "check-licences.sh cannot fail"; exit 1; }
	@for script in scripts/*.sh .ci/run; do bash -n $$script || exit 1; done

bench: ## measure ingest and search beside bare COPY on this machine
	@scripts/install.sh postgres kafka build
	@scripts/kafka.sh fetch >/dev/null
	@cargo bench --locked --bench bench

bench-search: ## measure searches, write path and bytes at 10,000,000 records
	@scripts/install.sh postgres build
	@cargo bench --locked --bench search

spike-test: ## k6: 100, 1,400, 100 users of single records, then accepted = stored
	@exec scripts/load.sh k6/spike-test.js

stress-test: ## k6: batches and searches mixed, then accepted = stored
	@exec scripts/load.sh k6/stress-test.js

screenshot: ## take docs/screenshot.png anew
	@exec scripts/screenshot.sh
