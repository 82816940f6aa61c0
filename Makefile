# HoloCompute. `make help` lists the targets; Go is all that most of them need.
T ?= 10s
N ?= 2000
M ?= 300
B ?= 1s
A ?= 100000
PART ?= 0/1
.PHONY: help build check test sim model processors mutants threats exposed atomics buffers chaos fuzz bench generate kernels demo ci

help: ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: ## the one binary, static
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o holo ./cmd/holo

check: ## format, vet, staticcheck, the architecture, short tests under the race detector
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	go test ./internal/arch
	CGO_ENABLED=1 go test -race -short -parallel 2 . ./internal/transport ./internal/consensus ./internal/door

test: ## everything a newcomer runs
	go test ./...

sim: ## N random seeds of the simulator, or one: make sim SEED=42
	go test ./internal/sim -run TestSeeds -count=1 -timeout 60m -v -args -n $(N) $(if $(SEED),-seed $(SEED))

model: ## every state of the protocol's Promela model, and of it without each rule; needs spin and gcc
	bash scripts/model.sh

processors: ## what must be the same on arm64 and riscv64, by emulation; needs qemu-user
	bash scripts/processors.sh

mutants: ## how many of M random seeds catch each planted mistake
	go test ./internal/sim -run TestMutantsBySeeds -count=1 -timeout 60m -v -args -mutants $(M)

threats: ## take each mitigation away: the test of its attack must fail; PART=0/3 for a third of them
	go test ./test/threat -count=1 -timeout 60m -parallel 3 -args -threats -part $(PART)

exposed: ## look at a cluster from outside, and at one without each protection; Linux, root
	go test ./test/threat -run TestExposureFails -count=1 -timeout 30m -v -args -exposed

atomics: ## four clients add A times each, at nodes of which one dies, and through a door: 5 min for 100,000
	go test ./internal/node -run TestAtomicOperationsCountExactlyOnceThoughTheHomeDies -count=1 -timeout 30m -v -args -additions $(A)
	go test . -run TestFourClientsCountExactly -count=1 -timeout 30m -v -args -additions $(A)

buffers: ## four producers append A records each at nodes of which one dies, and through a door; two consumers take them
	go test ./internal/node -run TestBufferLosesAndDoublesNothingThoughAHomeDies -count=1 -timeout 30m -v -args -records $(A)
	go test . -run TestFourProducersAndTwoConsumers -count=1 -timeout 30m -v -args -records $(A)

chaos: build ## an hour of real nodes that are killed, stopped and cut off; Linux, root
	go build -o .cache/chaos ./scripts/chaos && bash scripts/alone.sh .cache/chaos ./holo 1h

fuzz: ## each fuzz target for T
	bash scripts/fuzz.sh $(T)

bench: ## the workloads, with ratios against their baselines
	go test ./bench ./internal/transport ./internal/sandbox ./internal/workers -run '^$$' -bench . -benchtime $(B)

generate: ## protobuf code; needs protoc and its two Go plugins
	go generate ./internal/api

kernels: ## rebuild the sample kernels and compare with the committed ones; needs clang
	bash kernels/build.sh

demo: ## three nodes on loopback, real data, one of them killed
	go run ./cmd/holo demo $(if $(FULL),--full $(FULL))

ci: ## what the gate runs
	bash .ci/run
