#!/bin/sh
# Looks whether the static programs are static and work: on a root with nothing else in it.
# Usage: test-static.sh FOLDER, which has suzerain and suzerain-fastrouter.
set -eu
folder=$1
fail() {
	echo "FAILED: $1"
	exit 1
}
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
for program in suzerain suzerain-fastrouter; do
	cp "$folder/$program" "$work/"
	if ldd "$work/$program" >/dev/null 2>&1 && ! ldd "$work/$program" 2>&1 | grep -q 'statically linked\|not a dynamic'; then
		fail "$program needs libraries"
	fi
	if [ "$(id -u)" = 0 ]; then
		chroot "$work" "/$program" version
	else
		"$work/$program" version
	fi
done
"$work/suzerain" run --http 127.0.0.1:0 --admin "$work/admin.sock" --seccomp on 2>"$work/log" &
router=$!
tries=0
until curl -q -sf --unix-socket "$work/admin.sock" http://localhost/readyz >/dev/null; do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || { cat "$work/log"; kill -KILL $router; fail "the router is not ready after 10 s"; }
	sleep 0.1
done
cat "$work/log"
kill -QUIT $router
wait $router || { cat "$work/log"; fail "the router did not drain"; }
echo "the static programs work"
