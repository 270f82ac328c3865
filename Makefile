# Everything here is a plain go command: `make help` lists them, .ci/run is the gate.
GO ?= go
PYTHON ?= .venv/bin/python
# Length of the long fuzz run, all functions together.
FUZZ_SECONDS ?= 1800
FUZZ_PATTERN ?= .
MUTATIONS ?= 10000000
BENCH ?= .
SIM_SEED ?= 1
DEMAND ?= scale timing soak faults
BENCH_TIME ?= 200ms
POSTINGS ?= 10000000
BENCH_PACKAGES ?= ./codec/... ./shards/... ./state/... ./netio/... ./engine/...

.DEFAULT_GOAL := help
.PHONY: help deps build sim test test-train train obd goldens race differential fuzz fuzz-smoke fleet bench bench-demand bench-fleet bench-codec bench-dsp bench-explore bench-ledger bench-models bench-waiting bench-micro blackbox-long alloc check ci clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r t d; do printf '  %-14s %s\n' "$$t" "$$d"; done

deps: ## download the modules that go.sum pins; the trainer's Python into .venv; the servers that tests need into .deps
	$(GO) mod download
	tools/train/install
	tools/kafka/install
	tools/servers/install

build: ## bin/millrace, the one binary
	$(GO) build -trimpath -o bin/millrace ./tools/millrace

sim: build ## the money under every fault: 10,000 runs of 10 minutes, 100 of 3 days; SIM_SEED goes on where one stopped
	bin/millrace sim --seed $(SIM_SEED) --seeds 10000 --minutes 10 --require-all
	bin/millrace sim --seed $(SIM_SEED) --seeds 100 --days 3 --require-all

test: ## the README's test command
	$(GO) test ./...

goldens: build/goldens/made ## every loader and kernel on 94 models and 1,880,000 rows of the real trainers (needs the Python of deps)
	MILLRACE_LONG=1 $(GO) test -count=1 -timeout 30m -run Goldens ./models/gbdt

build/goldens/made: tools/train/goldens.py tools/train/requirements.txt | deps
	.venv/bin/python tools/train/goldens.py --out build/goldens
	touch $@

race: ## the tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -short ./...

test-train: ## the trainer's own tests (Python; make deps first)
	$(PYTHON) -m unittest discover -s tools/train/tests -t .

train: ## the demo bundle: a synthetic log, training, calibration, report in build/train
	$(PYTHON) -m tools.train synth --out build/train/log
	$(PYTHON) -m tools.train fit --log build/train/log --out build/train/bundle --report build/train/report --require
	$(GO) run ./tools/millrace model sign build/train/bundle --key models/bundle/demo/demo.key --out models/bundle/demo/demo.bundle

obd: ## the honest figures on the Open Bandit Dataset's sample (MILLRACE_OBD names its folder; skipped where absent)
	$(PYTHON) -m tools.train.obd --out build/obd.json

alloc: ## the allocation gates
	$(GO) test -count=1 -run Alloc ./...

differential: ## the request parser against encoding/json over 10 million mutated requests (MUTATIONS)
	$(GO) test -count=1 -timeout 120m -v -run TestDifferentialMutations ./codec/openrtb -mutations $(MUTATIONS)

fuzz: ## every Fuzz function, long (FUZZ_SECONDS in all, FUZZ_PATTERN chooses)
	.ci/fuzz $(FUZZ_SECONDS) '$(FUZZ_PATTERN)'

fuzz-smoke: ## every Fuzz function, about a minute
	.ci/fuzz 60 '$(FUZZ_PATTERN)'

fleet: deps ## three nodes on a real Valkey, PostgreSQL and Kafka, every part broken again and again for ten minutes; then the money is counted
	MILLRACE_LONG=1 $(GO) test -count=1 -timeout 60m -v -run TestFleet ./bench/fleet

bench-fleet: deps ## what a reservation costs here, and what three nodes at full speed cost Valkey beside a check in Lua for each request
	$(GO) test -run '^$$' -bench 'ReservePostOnly' -benchmem ./engine/budget
	$(GO) test -run '^$$' -bench RoundTrips -benchtime 1x ./bench/fleet

bench: ## the decision in process, one shard to two, the network edge, and the server against its peer as a ratio
	$(GO) test -run '^$$' -bench . ./bench/decision
	$(GO) run ./bench/ingress
	$(GO) run ./bench/peers

bench-demand: ## whole auctions with mock bidders on real sockets: cost by their number, the cut-off, a long run, bad bidders (DEMAND chooses one)
	for mode in $(DEMAND); do $(GO) run ./bench/demand $$mode || exit 1; done

bench-pacing: ## budgets over a simulated week against their plans, with a picture in build/pacing.svg
	@mkdir -p build
	$(GO) run ./bench/pacing -plot build/pacing.svg

bench-models: ## kernels of models/gbdt against leaves and the C APIs of LightGBM and XGBoost; trains its models first (needs the Python of deps)
	$(GO) run ./bench/models

bench-waiting: ## what stopping early costs and saves: revenue kept and time saved at each cut-off, docs/waiting.svg
	$(GO) run ./bench/waiting -svg docs/waiting.svg

bench-codec: ## parsing requests and answers, and patching: ours, sonic, encoding/json, simdjson-go and a plain pass, in one run
	$(GO) test -count=1 -timeout 30m -v -run Table ./bench/codec -rounds 200

bench-dsp: ## what a call to a bidder costs the caller: ours, net/http, x/net, fasthttp, hertz and raw HTTP/1.1, in one run
	$(GO) run ./bench/dsp

bench-explore: ## what exploration costs and brings: regret of each policy in worlds of known rates, docs/exploration.svg
	$(GO) run ./bench/explore -svg docs/exploration.svg

bench-ledger: deps ## the shared ledger on PostgreSQL: rows a second by batch size and its peers, grants; recovery of POSTINGS billed events (gigabytes of disk, minutes)
	$(GO) test -run '^$$' -bench . -benchtime 2s ./bench/ledger
	$(GO) test -count=1 -timeout 120m -v -run TestLedger/recovery ./bench/ledger -postings $(POSTINGS)

bench-micro: ## the packages' own benchmarks (BENCH, BENCH_TIME, BENCH_PACKAGES)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCH_TIME) -benchmem $(BENCH_PACKAGES)

blackbox-long: ## the black-box tests in their long form: 75 crashes, 10,000 slow connections, 1,000,000 replays, 60 s under race
	MILLRACE_LONG=1 $(GO) test -count=1 -timeout 60m -v ./bench/blackbox
	MILLRACE_LONG=1 CGO_ENABLED=1 $(GO) test -race -count=1 -timeout 30m -run Mixed -v ./bench/blackbox

check: ## the repository's own rules, vet and staticcheck
	$(GO) run ./tools/check
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

ci: ## the whole gate: .ci/run
	.ci/run

clean: ## remove what was built
	rm -rf bin build
