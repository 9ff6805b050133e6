#!/bin/sh
# Installs the programs that the end-to-end tests and the load tests drive, from Debian's (or
# Ubuntu's) archive. Does nothing where all of them are there already. Needs root or sudo.
set -eu
cd "$(dirname "$0")/.."

missing=""
need() { # need PROGRAM-OR-FILE PACKAGE
	case $1 in
	/*) [ -e "$1" ] && return ;;
	*) PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 && return ;;
	esac
	case " $missing " in *" $2 "*) ;; *) missing="$missing $2" ;; esac
}

need uwsgi uwsgi-core
# A uWSGI built from PyPI has Python inside; Debian's needs its plugin.
if ! command -v uwsgi >/dev/null 2>&1 || uwsgi --version | grep -q debian; then
	need /usr/lib/uwsgi/plugins/python3_plugin.so uwsgi-plugin-python3
fi
need nginx nginx-light
need /usr/lib/nginx/modules/ngx_stream_module.so libnginx-mod-stream
need apache2 apache2
need haproxy haproxy
need curl curl
need h2load nghttp2-client
need openssl openssl
need ffmpeg ffmpeg
need icecast2 icecast2
# Ubuntu has it as a snap only, which is kept from the tests' folders: there its tests skip.
grep -q '^ID=ubuntu' /etc/os-release 2>/dev/null || need chromium chromium
libs=/usr/lib/$(uname -m)-linux-gnu
# An RTSP server; its bindings belong to the system's own Python.
need "$libs"/girepository-1.0/GstRtspServer-1.0.typelib gir1.2-gst-rtsp-server-1.0
need "$libs"/gstreamer-1.0/libgstjpeg.so gstreamer1.0-plugins-good
need "$libs"/gstreamer-1.0/libgstvideotestsrc.so gstreamer1.0-plugins-base
need /usr/lib/python3/dist-packages/gi/__init__.py python3-gi
need python3 python3
need slowhttptest slowhttptest
need setpriv util-linux
need ip iproute2
need strace strace
need redis-server redis-server
need redis-cli redis-tools
need valgrind valgrind
# A clean root for the package, and the judge of its units.
need mmdebstrap mmdebstrap
need systemd-analyze systemd
# Building the TLS library.
need cc gcc
need make make
need /etc/ssl/certs/ca-certificates.crt ca-certificates

# Python programs of the tests, in a folder of their own: a gRPC client and server, and the messages of
# OpenTelemetry.
venv=target/test-python
python_packages="grpcio==1.85.3 opentelemetry-proto==1.45.2"
prepare_python() {
	[ -x "$venv/bin/python3" ] && "$venv/bin/python3" -c 'import grpc, opentelemetry.proto' 2>/dev/null && return
	echo "installing for python: $python_packages"
	python3 -m venv "$venv"
	# shellcheck disable=SC2086 # a list of packages
	"$venv/bin/python3" -m pip install --quiet --disable-pip-version-check $python_packages
}
python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"

# Not in Debian's archive. Without it the test of the package says that it is skipped.
prepare_cargo_deb() {
	command -v cargo-deb >/dev/null 2>&1 && return
	cargo install --locked --quiet cargo-deb || echo "cargo-deb cannot be installed"
}

if [ -z "$missing" ]; then
	prepare_python
	prepare_cargo_deb
	exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
	echo "the tests need:$missing (Debian's names); install them by hand" >&2
	exit 1
fi
sudo=""
if [ "$(id -u)" -ne 0 ]; then
	sudo="sudo"
fi
echo "installing:$missing"
$sudo apt-get update -q
# shellcheck disable=SC2086 # a list of packages
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
prepare_python
prepare_cargo_deb
