# Everything people and CI run, by name. `make test` is the whole truth about a change.

.PHONY: help test e2e soak deps deb static demo fuzz bench instructions bless-instructions loadtest-smoke loadtest autobahn httpwg fmt lint doc deny

help:
	@echo 'make test            install what the tests need, then run every check and test'
	@echo 'make e2e             only the end-to-end tests, on both I/O drivers'
	@echo 'make soak            reloads, upgrades and more under 2,000 requests/s, on both I/O drivers; 6 minutes'
	@echo 'make demo            a router and a signed demo site on loopback'
	@echo 'make deb             the Debian package, into target/debian'
	@echo 'make static          programs that need no library, for any Linux; and looks whether they work'
	@echo 'make fmt             format the code'
	@echo 'make lint            clippy as CI runs it'
	@echo 'make doc             the API documentation'
	@echo 'make fuzz SECONDS=60 each fuzz target for a minute; see fuzz/README.md'
	@echo 'make autobahn        WebSocket cases, with the router and without; needs Python 2.7'
	@echo 'make httpwg          HTTP/2 cases of RFC 9113'
	@echo 'make bench           criterion benchmarks'
	@echo 'make instructions    instruction counts against the baseline; bless-instructions makes a new one'
	@echo 'make loadtest-smoke  a short comparison, to see that the load test works'
	@echo 'make loadtest        every target against nginx, HAProxy and uWSGI; PEERS=all adds sozu and pingora'
	@echo 'make deny            licences and advisories of the dependencies'

test: deps
	@./packaging/run-tests.sh

e2e: deps
	SUZERAIN_TEST_IO=uring cargo test --locked --workspace --test e2e
	SUZERAIN_TEST_IO=epoll cargo test --locked --workspace --test e2e

# The whole of what `make test` has a short run of, with the program that is shipped.
soak: deps
	cargo build --locked --release --bin suzerain
	SUZERAIN_SOAK=whole SUZERAIN_SOAK_PROGRAM=$(CURDIR)/target/release/suzerain SUZERAIN_TEST_IO=uring \
		cargo test --locked -p proxy --test soak -- --nocapture
	SUZERAIN_SOAK=whole SUZERAIN_SOAK_PROGRAM=$(CURDIR)/target/release/suzerain SUZERAIN_TEST_IO=epoll \
		cargo test --locked -p proxy --test soak -- --nocapture

deps:
	@./packaging/install-test-deps.sh

demo:
	cargo run --release --bin suzerain -- demo

fmt:
	cargo fmt --all

# Needs cargo-deb. Programs write their own manual pages and completions.
deb:
	cargo build --locked --release --bin suzerain --bin suzerain-fastrouter
	rm -rf target/release/package-files
	target/release/suzerain package-files target/release/package-files
	target/release/suzerain-fastrouter package-files target/release/package-files
	gzip -9n target/release/package-files/man/*.1
	rm -f target/debian/suzerain_*.deb
	cargo deb --locked --package proxy --no-build

# Needs musl-gcc (Debian: musl-tools) and rustup target add x86_64-unknown-linux-musl.
MUSL := x86_64-unknown-linux-musl
static:
	CC_x86_64_unknown_linux_musl=musl-gcc cargo build --locked --release --target $(MUSL) \
		--bin suzerain --bin suzerain-fastrouter
	./packaging/test-static.sh target/$(MUSL)/release

lint:
	cargo clippy --locked --workspace --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

bench:
	cargo bench --locked -p benches

# Needs valgrind. Counts over +3 % fail; benches/README.md says what to do then.
instructions bless-instructions:
	cargo build --locked --release --bin suzerain
	cargo build --locked --release -p benches --no-default-features --bin instructions
	target/release/instructions $(if $(filter bless%,$@),bless,check) target/release/suzerain

loadtest-smoke: deps
	cargo build --locked --release --bin suzerain --bin suzerain-fastrouter
	cargo build --locked --release -p loadtests
	target/release/loadtests compare \
		--scenario keepalive,big-upload,fastrouter,tls-keepalive,tls-handshake,tls-resume \
		--scenario websocket-10k-idle \
		--peers nginx,haproxy,uwsgi,floor --smoke --json target/loadtest-smoke.json

# Everything against every target, in one run of about a quarter of an hour after the build; the report is
# loadtests/report/report.md. LOADTEST_ARGS goes to `loadtests proof`, e.g. '--only keepalive,big'.
PEERS ?= nginx,haproxy,uwsgi
LOADTEST_ARGS ?=
loadtest: deps
	PEERS=$(PEERS) ./packaging/install-load-peers.sh
	cargo build --locked --release --bin suzerain --bin suzerain-fastrouter
	cargo build --locked --release -p loadtests
	target/release/loadtests proof --peers \
		$(if $(filter all,$(PEERS)),nginx$(comma)haproxy$(comma)uwsgi$(comma)sozu$(comma)pingora,$(PEERS)) \
		$(LOADTEST_ARGS)
comma := ,

# Inputs that reach new code are kept in target/fuzz-corpus; fuzz/corpus is only read.
SECONDS ?= 60
FUZZ_TARGETS ?= $(notdir $(basename $(wildcard fuzz/fuzz_targets/*.rs)))
fuzz:
	@command -v cargo-fuzz >/dev/null 2>&1 || cargo install --locked cargo-fuzz
	@set -e; for target in $(FUZZ_TARGETS); do \
		printf '\n==> %s for %s s\n' $$target $(SECONDS); \
		mkdir -p target/fuzz-corpus/$$target; \
		RUSTC_BOOTSTRAP=1 CARGO_PROFILE_RELEASE_LTO=off \
			cargo fuzz run --fuzz-dir fuzz --features libfuzzer $$target \
			target/fuzz-corpus/$$target fuzz/corpus/$$target \
			-- -max_total_time=$(SECONDS) -max_len=4096; \
	done

# Not part of `make test`: they install what Debian does not have.
autobahn:
	@./packaging/autobahn.sh

httpwg:
	@./packaging/httpwg.sh

deny:
	@if command -v cargo-deny >/dev/null 2>&1; then cargo deny --locked check; \
	else echo 'cargo-deny is not installed: cargo install --locked cargo-deny'; fi
