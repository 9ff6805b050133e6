#!/bin/sh
# Runs the Autobahn testsuite against a WebSocket server directly and through the router, and
# compares case by case: a tunnel may change nothing. Ports are the kernel's choice.
#
# Needs Python 2.7 (PYTHON2, or one of pyenv's), npm, and the network once: Autobahn and the server,
# npm's `ws`, are installed in target/autobahn. CASES='1.*' runs fewer of the 247.
set -eu
cd "$(dirname "$0")/.."
. packaging/wait-for.sh
here=$PWD
work=$here/target/autobahn
mkdir -p "$work"

python2() {
	if [ -n "${PYTHON2:-}" ]; then
		"$PYTHON2" "$@"
	elif command -v python2.7 >/dev/null 2>&1 && python2.7 -c '' 2>/dev/null; then
		python2.7 "$@"
	else
		pyenv=$(ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python 2>/dev/null | tail -1)
		[ -n "$pyenv" ] && "$pyenv" "$@"
	fi
}
if ! python2 -c '' 2>/dev/null; then
	echo 'SKIPPED: Autobahn needs Python 2.7 (set PYTHON2=/path/to/python2.7)' >&2
	exit 0
fi
if ! command -v npm >/dev/null 2>&1; then
	echo 'SKIPPED: the WebSocket server behind the router needs node and npm' >&2
	exit 0
fi
if [ ! -x "$work/venv/bin/wstest" ]; then
	python2 -m pip install --quiet --user 'virtualenv<20.22'
	python2 -m virtualenv --quiet "$work/venv"
	"$work/venv/bin/pip" install --quiet autobahntestsuite==25.10.1
fi
[ -d "$work/node_modules/ws" ] || npm install --silent --prefix "$work" ws@8 >/dev/null
cargo build --locked --bin suzerain

cat >"$work/echo.js" <<'END'
const { WebSocketServer } = require('ws');
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, maxPayload: 64 << 20 }, () =>
  console.log(server.address().port));
server.on('connection', socket => {
  socket.on('error', () => {});
  socket.on('message', (data, binary) => socket.send(data, { binary }));
});
END
free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

children=""
trap 'for pid in $children; do kill "$pid" 2>/dev/null || true; done' EXIT INT TERM
node "$work/echo.js" >"$work/port" &
children=$!
wait_for 'the WebSocket server' test -s "$work/port"
server=$(cat "$work/port")
router=$(free_port)
./target/debug/suzerain run --http "127.0.0.1:$router" --admin "$work/admin.sock" \
	--route "127.0.0.1=127.0.0.1:$server,proto=http" >"$work/router.log" 2>&1 &
children="$children $!"
wait_for 'the router' curl -sf --unix-socket "$work/admin.sock" http://admin/readyz

cat >"$work/cases.json" <<END
{
  "outdir": "$work/report",
  "servers": [
    {"agent": "direct", "url": "ws://127.0.0.1:$server"},
    {"agent": "router", "url": "ws://127.0.0.1:$router"}
  ],
  "cases": ["${CASES:-*}"],
  "exclude-cases": ["9.*", "12.*", "13.*"]
}
END
(cd "$work" && ./venv/bin/wstest -m fuzzingclient -s cases.json >wstest.log 2>&1)

python3 - "$work/report/index.json" <<'END'
import json, sys
report = json.load(open(sys.argv[1]))
direct, router = report['direct'], report['router']
def outcome(case):
    return case['behavior'], case['behaviorClose'], case['remoteCloseCode']
def order(case):
    return [int(part) for part in case.split('.')]
differing = [case for case in sorted(direct, key=order)
             if case not in router or outcome(direct[case]) != outcome(router[case])]
for case in differing:
    through = outcome(router[case]) if case in router else 'not run'
    print(f'case {case}: direct {outcome(direct[case])}, through the router {through}')
counts = {}
for case in router.values():
    counts[case['behavior']] = counts.get(case['behavior'], 0) + 1
print(f'{len(router)} cases through the router: {counts}; {len(differing)} differ from direct')
sys.exit(1 if differing or not router else 0)
END
