# Waits for what a script started. Read by the scripts beside it; does nothing by itself.

wait_for() { # wait_for WHAT COMMAND...: until it succeeds, 10 s at most
	what=$1
	shift
	for _ in $(seq 100); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	echo "$what did not come up" >&2
	exit 1
}
