#!/bin/sh
# Builds the peers of the load test that Debian does not have, below target/load-peers, when they are asked
# for: PEERS=all. nginx, HAProxy and uWSGI come with packaging/install-test-deps.sh.
set -eu
cd "$(dirname "$0")/.."

[ "${PEERS:-}" = all ] || exit 0
root=target/load-peers
# Versions that were tried; the lock files of both are kept to.
sozu_version=2.3.3

# What their build scripts call.
missing=""
command -v protoc >/dev/null 2>&1 || missing="$missing protobuf-compiler"
command -v cmake >/dev/null 2>&1 || missing="$missing cmake"
if [ -n "$missing" ]; then
	sudo=""
	[ "$(id -u)" -eq 0 ] || sudo="sudo"
	$sudo apt-get update -q
	# shellcheck disable=SC2086 # a list of packages
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
fi

if [ ! -x "$root/bin/sozu" ]; then
	CARGO_TARGET_DIR=$root/build cargo install --locked --root "$root" "sozu@$sozu_version"
fi
if [ ! -x "$root/bin/minimal-pingora" ]; then
	CARGO_TARGET_DIR=$root/build cargo install --locked --root "$root" --path loadtests/peers/pingora
fi
