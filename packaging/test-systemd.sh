#!/bin/sh
# Runs the package's units under a real systemd: test-systemd.sh DEB, from the folder of the sources. Boots Debian's systemd as process 1 of namespaces
# of its own, on a root made of Debian's packages, and does there what docs/OPERATING.md says of systemctl, with requests
# under way. Takes half a minute. Prints SKIPPED and the reason where namespaces or control groups are not permitted.
set -eu
deb=$1
work=$(mktemp -d)
root=$work/root
boot=""
group=""
helpers=""

skip() {
	echo "SKIPPED: the units are not run by systemd: $1"
	exit 0
}
fail() {
	echo "FAILED: $1"
	[ -z "$boot" ] || inside journalctl --no-pager -n 40 -u 'suzerain*' || true
	exit 1
}
finish() {
	for process in $helpers $boot; do # process 1 takes all others of its namespace along
		kill -KILL "$process" 2>/dev/null || true
		wait "$process" 2>/dev/null || true
	done
	[ -z "$group" ] || within 100 is_removed || echo "$group is not empty"
	rm -rf --one-file-system "$work"
}
within() { # within TENTHS COMMAND...: until it succeeds
	tries=$1
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.1
	done
}
is_removed() { find "$group" -depth -type d -exec rmdir {} + && [ ! -e "$group" ]; }
inside() { nsenter -t "$first" -m -p -n -u -i -C -r -w env PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"; }
as_written() { # as_written ROW: the command of this row of the table of docs/OPERATING.md
	command=$(sed -n "s/^| $1 | [^\`]*\`\([^\`]*\)\`.*/\1/p" docs/OPERATING.md)
	[ -n "$command" ] || fail "docs/OPERATING.md has no row \"$1\""
	inside sh -c "cd /srv && $command" >"$work/log" 2>&1 || { cat "$work/log"; fail "$command"; }
}
on_its_network() { nsenter -t "$first" -n "$@"; }
trap finish EXIT

for tool in mmdebstrap dpkg-deb unshare nsenter findmnt python3 curl; do
	command -v "$tool" >/dev/null 2>&1 || skip "$tool is not installed"
done
[ "$(id -u)" = 0 ] || skip "it takes root"
unshare --mount --pid --net --uts --ipc --cgroup --fork true 2>/dev/null || skip "namespaces are not permitted"
tree=$(findmnt -n -t cgroup2 -o TARGET | head -1)
[ -n "$tree" ] || skip "there are no control groups of version 2"
group=$tree$(sed -n 's/^0:://p' /proc/self/cgroup)/suzerain-boot-$$
mkdir "$group" 2>/dev/null || { group=""; skip "no control group can be made"; }

# shellcheck disable=SC1091 # of the machine
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
echo "a root of $suite with systemd"
sources=$(find /etc/apt -name '*.sources' -o -name '*.list' -size +0)
# shellcheck disable=SC2086 # a list of files
mmdebstrap --quiet --mode=root --variant=essential --include=passwd,systemd,systemd-sysv,apt,curl "$suite" "$root" $sources \
	>"$work/log" 2>&1 || { tail -5 "$work/log"; skip "no root can be made of Debian's packages here"; }
cp "$deb" "$root/suzerain.deb"
# The next version, with the same programs.
dpkg-deb -R "$deb" "$work/next"
sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
dpkg-deb -b "$work/next" "$root/srv/suzerain_NEW.deb" >/dev/null

# What a container gives its process 1.
cat >"$work/boot" <<'BOOT'
set -eu
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do
	: >dev/$node
	mount --bind /dev/$node dev/$node
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=suzerain-test chroot . /lib/systemd/systemd --unit=multi-user.target
BOOT
sh -c "echo \$\$ >'$group/cgroup.procs' &&
	exec unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child sh '$work/boot' '$root'" >"$work/log" 2>&1 &
boot=$!
is_up() {
	first=$(tr -d ' ' <"/proc/$boot/task/$boot/children") && [ -n "$first" ] &&
		[ "$(inside systemctl is-system-running)" = running ]
}
within 300 is_up || { cat "$work/log"; boot=""; skip "systemd does not come up in namespaces here"; }
echo "- $(inside systemctl --version | head -1) is up"

main_pid() { inside systemctl show --property MainPID --value suzerain; }
is_active() { [ "$(inside systemctl is-active "$1")" = active ]; }
answers() { on_its_network curl -q -sf --noproxy '*' -o /dev/null -H 'Host: shop.test' "http://127.0.0.1:$1/"; }
is_another() { [ "$(main_pid)" != "$1" ] && [ "$(main_pid)" != 0 ] && is_active suzerain; }

inside dpkg -i /suzerain.deb >"$work/log" 2>&1 || { cat "$work/log"; fail "dpkg -i"; }
is_active suzerain && fail "the package started something"
# The commands of docs/INSTALL.md that come after the package.
sed -n '/^```sh/,/^```/p' docs/INSTALL.md | sed -n '/^suzerain check/,/^```/p' | sed '/^```/d' >"$root/install.sh"
grep -q 'systemctl enable' "$root/install.sh" || fail "docs/INSTALL.md has no commands of systemctl"
inside sh -eu /install.sh >"$work/log" 2>&1 || { cat "$work/log"; fail "the commands of docs/INSTALL.md"; }
[ "$(tail -n 1 "$work/log")" = ready ] || { cat "$work/log"; fail "docs/INSTALL.md does not end with a router that is ready"; }
is_active suzerain || fail "it is not active with the package's configuration"
as_written start
inside suzerain ctl version | grep -q ready || fail "suzerain ctl version"
inside systemctl enable --now suzerain-fastrouter 2>"$work/log" || fail "systemctl enable --now suzerain-fastrouter"
is_active suzerain-fastrouter || fail "the fastrouter is not active with the package's configuration"
echo "- both units start"

mkdir "$work/site"
on_its_network python3 -m http.server --bind 127.0.0.1 --directory "$work/site" 3001 >/dev/null 2>&1 &
helpers=$!
settings=$root/etc/suzerain/suzerain.toml
printf 'route = ["shop.test=127.0.0.1:3001,proto=http"]\n' | cat - "$settings" >"$work/new" && cat "$work/new" >"$settings"
as_written reload
within 50 answers 80 || fail "the reload brought no route"
# Requests under way from here on, each in a connection of its own, none of which may fail.
cat >"$work/load" <<'LOAD'
until [ -e "$1/stop" ]; do
	curl -q -sf --noproxy '*' -o /dev/null --max-time 10 -H 'Host: shop.test' http://127.0.0.1/ || echo "$?" >>"$1/failed"
	echo >>"$1/asked"
done
LOAD
on_its_network sh "$work/load" "$work" &
load=$!
helpers="$helpers $load"
before=$(main_pid)
sed -i 's/^http = .*/http = [":80", ":8081"]/' "$settings"
as_written reload
within 50 answers 8081 || fail "the reload brought no listener"
[ "$(main_pid)" = "$before" ] || fail "a reload is another process"
as_written upgrade
within 100 is_another "$before" || fail "systemd does not follow the package's upgrade"
before=$(main_pid)
# One after the other: the old process has requests that were under way to its end.
within 100 inside suzerain ctl upgrade || fail "suzerain ctl upgrade"
within 100 is_another "$before" || fail "systemd does not follow an upgrade"
: >"$work/stop"
wait "$load"
[ ! -e "$work/failed" ] || fail "$(wc -l <"$work/failed") of $(wc -l <"$work/asked") requests failed"
echo "- reload, upgrade of the package, ctl upgrade: $(wc -l <"$work/asked") requests, none failed"

before=$(main_pid)
inside systemctl restart suzerain || fail "systemctl restart suzerain"
is_another "$before" || fail "a restart is no other process"
within 50 answers 80 || fail "no answer after a restart"
before=$(main_pid)
inside sh -c "kill -KILL $before"
within 100 is_another "$before" || fail "systemd does not start it again after a crash"
within 50 answers 80 || fail "no answer after a crash"
as_written "the end"
[ "$(inside systemctl show --property Result --value suzerain)" = success ] || fail "the end was no success"
answers 80 && fail "it answers after its end"
echo "- restart, start after a crash, the end"
