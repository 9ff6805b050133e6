#!/bin/sh
# Runs every check in turn and sums the tests up; `make test` is this script.
#
# All steps share one target directory, and all but the last one profile: instructions are counted in what
# is shipped, a release build. A failed step does not stop the next: one run shows everything that is wrong. The end-to-end tests run once per
# I/O driver, within the workspace run on io_uring and once more on epoll.
set -u
cd "$(dirname "$0")/.."

log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
failed_steps=""

step() { # step NAME COMMAND...
	name=$1
	shift
	printf '\n==> %s: %s\n' "$name" "$*"
	# The status goes through a file: in a pipe, sh reports tee's.
	{ "$@" 2>&1 && echo 0 >"$log/status" || echo 1 >"$log/status"; } | tee "$log/$name.log"
	if [ "$(cat "$log/status")" != 0 ]; then
		failed_steps="$failed_steps $name"
	fi
}

# The tests wait more than they compute.
RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(nproc) * 3))}
export RUST_TEST_THREADS

step fmt cargo fmt --all --check
step clippy cargo clippy --locked --workspace --all-targets -- -D warnings
step rustdoc env RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet

disabled=$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null || echo 2)
if [ "$disabled" = 0 ] || [ "${CI:-}" = true ]; then
	first=uring
else
	echo "io_uring is switched off on this machine: the tests run on epoll only"
	first=epoll
fi
step "tests-$first" env SUZERAIN_TEST_IO=$first \
	cargo test --locked --workspace --no-fail-fast
if [ "$first" = uring ]; then
	# This time every router is confined: a system call that is missing in the list ends it.
	step tests-epoll env SUZERAIN_TEST_IO=epoll SUZERAIN_TEST_SECCOMP=on \
		cargo test --locked --workspace --test e2e --test soak --no-fail-fast
fi

step instructions make --no-print-directory instructions
step tests-package ./packaging/test-deb.sh

# Each test binary closes with: test result: ok. 12 passed; 0 failed; 1 ignored; ...
sum() {
	cat "$log"/tests-*.log | awk -v word="$1" '
		/^test result: / { for (i = 2; i <= NF; i++) if ($i ~ "^" word) total += $(i - 1) }
		END { print total + 0 }'
}
printf '\n'
cat "$log"/tests-*.log | grep -E '^(test .* \.\.\. FAILED|.*SKIPPED: )' | sort -u
passed=$(sum passed) failed=$(sum failed) ignored=$(sum ignored)
if [ -n "$failed_steps" ]; then
	echo "failed steps:$failed_steps"
fi
echo "suite: $passed passed, $failed failed, $ignored skipped"
[ -z "$failed_steps" ] && [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
