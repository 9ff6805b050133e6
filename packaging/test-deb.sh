#!/bin/sh
# Installs the .deb on a clean root made of Debian's packages, and looks whether it works there: programs, user,
# configuration, a start as root that ends as the user, an upgrade, a purge. The units are judged by systemd.
# Prints SKIPPED and the reason where this cannot be tried; CI=true makes that a failure.
set -eu
cd "$(dirname "$0")/.."

cannot() {
	if [ "${CI:-}" = true ]; then
		echo "FAILED: $1, and CI must not skip"
		exit 1
	fi
	echo "SKIPPED: the .deb is not tested: $1"
	exit 0
}
fail() {
	echo "FAILED: $1"
	exit 1
}
[ "$(id -u)" = 0 ] || cannot "a root of its own takes root"
for tool in mmdebstrap dpkg-deb systemd-analyze curl python3 cargo-deb; do
	command -v "$tool" >/dev/null 2>&1 || cannot "$tool is not installed"
done

# shellcheck disable=SC1091 # of the machine
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
make --no-print-directory deb
deb=$(ls target/debian/suzerain_*.deb)
work=$(mktemp -d)
root=$work/root
router=""
finish() {
	if [ -n "$router" ]; then
		kill -KILL "$router" 2>/dev/null || true
	fi
	rm -rf --one-file-system "$work"
}
trap finish EXIT

echo "a clean root of $suite"
sources=$(find /etc/apt -name '*.sources' -o -name '*.list' -size +0)
# shellcheck disable=SC2086 # a list of files
mmdebstrap --quiet --mode=root --variant=essential --include=passwd "$suite" "$root" $sources >"$work/log" 2>&1 ||
	{ tail -5 "$work/log"; cannot "no root can be made of Debian's packages here"; }

echo "installing $deb"
cp "$deb" "$root/suzerain.deb"
in_root() { chroot "$root" env PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"; }
in_root dpkg -i /suzerain.deb >"$work/log" 2>&1 || { cat "$work/log"; fail "dpkg -i"; }
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
[ "$(in_root suzerain version)" = "suzerain $version" ] || fail "suzerain version"
[ "$(in_root suzerain-fastrouter version)" = "suzerain-fastrouter $version" ] || fail "suzerain-fastrouter version"
in_root getent passwd suzerain | grep -q nologin || fail "there is no user suzerain"
for file in man/man1/suzerain.1.gz man/man1/suzerain-run.1.gz man/man1/suzerain-fastrouter-run.1.gz \
	bash-completion/completions/suzerain zsh/vendor-completions/_suzerain fish/vendor_completions.d/suzerain.fish \
	doc/suzerain/CONFIG.md doc/suzerain/copyright; do
	[ -s "$root/usr/share/$file" ] || fail "/usr/share/$file is missing"
done
gzip -dc "$root/usr/share/man/man1/suzerain-run.1.gz" | grep -q 'sign' || fail "suzerain-run(1) says nothing"
bash -n "$root/usr/share/bash-completion/completions/suzerain" || fail "completions of bash"

echo "serving as its user"
in_root suzerain check /etc/suzerain/suzerain.toml
in_root suzerain-fastrouter check /etc/suzerain/fastrouter.toml
uid=$(in_root id -u suzerain)
low=127.87.65.43:80
serve() { # serve COMMAND...: in the root, until it answered and drained
	chroot "$root" "$@" /usr/bin/suzerain run --config /etc/suzerain/suzerain.toml --http $low >"$work/log" 2>&1 &
	router=$!
	tries=0
	until curl -q -sf --unix-socket "$root/run/suzerain/admin.sock" http://localhost/readyz >/dev/null; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || { cat "$work/log"; fail "the router is not ready after 10 s"; }
		sleep 0.1
	done
	[ "$(curl -q -s --noproxy '*' -o /dev/null -w '%{http_code}' http://$low/)" = 404 ] || fail "no answer on port 80"
	grep -q "^Uid:.$uid.$uid.$uid.$uid$" "/proc/$router/status" || fail "the router is not the user suzerain"
	grep -q "^Seccomp:.2$" "/proc/$router/status" || fail "the router is not confined"
	[ "$(stat -c %u "$root/var/log/suzerain/access.log")" = "$uid" ] || fail "the access log is not the user's"
	in_root suzerain ctl routes | grep -q '^KEY' || fail "suzerain ctl does not reach the router"
	took_over=$(in_root suzerain ctl upgrade) || { cat "$work/log"; fail "the router cannot be upgraded"; }
	new=$(echo "$took_over" | tr -cd 0-9)
	grep -q "^Uid:.$uid.$uid.$uid.$uid$" "/proc/$new/status" || fail "the upgraded router is not the user suzerain"
	kill -QUIT "$new"
	tries=0
	while [ -e "/proc/$new" ]; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || { cat "$work/log"; fail "the upgraded router did not drain"; }
		sleep 0.1
	done
	wait "$router" || { cat "$work/log"; fail "the router did not drain"; }
	router=""
}
echo "- started by root"
serve env
echo "- started as the unit does"
serve setpriv --reuid suzerain --regid suzerain --init-groups --no-new-privs --inh-caps=-all,+net_bind_service \
	--ambient-caps=-all,+net_bind_service --bounding-set=-all,+net_bind_service

echo "units"
units=$work/units
mkdir "$units"
for unit in suzerain.service suzerain-fastrouter.service; do
	systemd-analyze security --offline=true --threshold=25 "$root/lib/systemd/system/$unit" >"$work/log" 2>&1 ||
		{ tail -1 "$work/log"; fail "$unit is exposed to more than 2.5"; }
	tail -1 "$work/log"
	python3 packaging/unit-syscalls.py "$root/lib/systemd/system/$unit" || fail "$unit and seccomp disagree"
	# The programs are not installed on this machine, and nor are their manual pages.
	sed -e "s#=/usr/bin/suzerain#=$root/usr/bin/suzerain#" -e '/^Documentation/d' \
		"$root/lib/systemd/system/$unit" >"$units/$unit"
done
cp "$root/usr/share/doc/suzerain/examples/suzerain.socket" "$units/"
for unit in "$units"/*; do
	systemd-analyze verify "$unit" 2>&1 | grep -F "$units" && fail "$unit" || true
done

echo "under systemd"
timeout 300 packaging/test-systemd.sh "$deb" || fail "under systemd"

echo "upgrade, removal, purge"
echo '# mine' >>"$root/etc/suzerain/suzerain.toml"
in_root dpkg -i /suzerain.deb >"$work/log" 2>&1 || { cat "$work/log"; fail "dpkg -i over itself"; }
grep -q '^# mine' "$root/etc/suzerain/suzerain.toml" || fail "an upgrade overwrote the configuration"
in_root dpkg --remove suzerain >"$work/log" 2>&1 || { cat "$work/log"; fail "dpkg --remove"; }
[ ! -e "$root/usr/bin/suzerain" ] || fail "a removal left the program"
[ -e "$root/etc/suzerain/suzerain.toml" ] || fail "a removal took the configuration along"
in_root dpkg --purge suzerain >"$work/log" 2>&1 || { cat "$work/log"; fail "dpkg --purge"; }
for left in /etc/suzerain /var/log/suzerain /lib/systemd/system/suzerain.service; do
	[ ! -e "$root$left" ] || fail "a purge left $left"
done
echo "the .deb works on a clean $suite"
