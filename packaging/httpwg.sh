#!/bin/sh
# Runs httpwg's cases of RFC 9113 against the router (HTTP/2 without TLS) and fails on a failed case
# that is not in packaging/httpwg-expected-failures.txt, where the reasons are.
#
# Needs httpwg: cargo install --locked httpwg-cli
set -eu
cd "$(dirname "$0")/.."
. packaging/wait-for.sh
expected=packaging/httpwg-expected-failures.txt

httpwg=$(command -v httpwg || ls "$HOME/.cargo/bin/httpwg" 2>/dev/null || true)
if [ -z "$httpwg" ]; then
	echo 'SKIPPED: httpwg is not installed: cargo install --locked httpwg-cli' >&2
	exit 0
fi
cargo build --locked --bin suzerain

work=$(mktemp -d)
children=""
trap 'for pid in $children; do kill "$pid" 2>/dev/null || true; done; rm -rf "$work"' EXIT INT TERM

# A node that answers everything, and takes a hundred connections at once.
cat >"$work/node.py" <<'END'
import http.server

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    def handle_error(self, request, address):
        pass  # the client went away: many cases do

class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def answer(self):
        self.rfile.read(int(self.headers.get('Content-Length') or 0))
        self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n'
                         + b'hello\n' * (self.command != 'HEAD'))
    do_GET = do_POST = do_HEAD = do_PUT = do_OPTIONS = do_DELETE = answer
    def log_message(self, *_):
        pass

server = Server(('127.0.0.1', 0), Answer)
print(server.server_port, flush=True)
server.serve_forever()
END
python3 "$work/node.py" >"$work/port" &
children=$!
wait_for 'the node' test -s "$work/port"
node=$(cat "$work/port")
router=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
./target/debug/suzerain run --http "127.0.0.1:$router" --http2 all --admin "$work/admin.sock" \
	--route "127.0.0.1=127.0.0.1:$node,proto=http" --route "localhost=127.0.0.1:$node,proto=http" \
	--io "${SUZERAIN_TEST_IO:-auto}" >"$work/router.log" 2>&1 &
children="$children $!"
wait_for 'the router' curl -sf --unix-socket "$work/admin.sock" http://admin/readyz

# It exits with 1 on any failed case; its lines are what counts.
NO_COLOR=1 RUST_BACKTRACE=0 "$httpwg" -a "127.0.0.1:$router" -f 'RFC 9113' >"$work/log" 2>&1 || true
sed 's/\x1b\[[0-9;]*m//g' "$work/log" >"$work/plain"
cases() { # cases passed|failed
	grep -o "Test $1: RFC 9113 :: .*" "$work/plain" | sed 's/^Test [a-z]*: //' | sort -u
}
passed=$(cases passed | wc -l)
cases failed >"$work/failed"
grep -v -e '^#' -e '^$' "$expected" | sort >"$work/expected"
echo "$passed cases passed, $(wc -l <"$work/failed") failed"
comm -13 "$work/failed" "$work/expected" >"$work/better"
[ -s "$work/better" ] && sed 's/^/passes now, or was not run: /' "$work/better"
comm -23 "$work/failed" "$work/expected" >"$work/new"
sed 's/^/NEW FAILURE: /' "$work/new"
if [ "$passed" -lt 70 ]; then
	echo 'too few cases ran:' >&2
	tail -5 "$work/plain" >&2
	exit 1
fi
[ ! -s "$work/new" ]
