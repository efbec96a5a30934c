#!/bin/sh
# Installs what the tests need where it is missing (Debian packages), then runs all tests.
# Arguments go to `cargo test`.
set -eu
cd "$(dirname "$0")/.."

# A command that tells whether the package is there, and the package.
needs='
c++ g++
cc gcc
chromium chromium
curl curl
getent libc-bin
ip iproute2
mount mount
nc netcat-openbsd
ping iputils-ping
ps procps
python3 python3
setpriv util-linux
unshare util-linux
tcpdump tcpdump
tmux tmux
tshark tshark
'

fail() {
    echo "setup/test.sh: $1" >&2
    exit 1
}

# tun.sh, ip and tcpdump may be where only root's PATH looks.
PATH=$PATH:/usr/sbin:/sbin
export PATH

command -v cargo >/dev/null || fail 'cargo is missing: install Rust from https://rustup.rs'

missing=$(echo "$needs" | while read -r command package; do
    [ -z "$command" ] || command -v "$command" >/dev/null || echo "$package"
done)

if [ -n "$missing" ]; then
    echo "setup/test.sh: installing" $missing >&2
    command -v apt-get >/dev/null ||
        fail "this system has no apt-get; install by its own means what corresponds to Debian's: $(echo $missing)"
    as_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null ||
            fail "installing needs root and there is no sudo; as root: apt-get install $(echo $missing)"
        as_root=sudo
    fi
    apt_get() {
        # tshark asks whether others than root may capture; the default, no, will do.
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" </dev/null
    }
    apt_get update || fail 'apt-get update failed: is the network there?'
    apt_get install --no-install-recommends $missing >/dev/null ||
        fail "apt-get could not install: $(echo $missing)"
fi

exec cargo test "$@"
