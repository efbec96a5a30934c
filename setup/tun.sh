#!/bin/sh
# Makes, removes or shows a TUN that an ordinary user can use with `tcplab serve`.
set -eu

usage() {
    cat <<'END'
Usage: setup/tun.sh up     [NAME] [--user USER] [--addr ADDRESS/PREFIX]...
       setup/tun.sh down   [NAME]
       setup/tun.sh status [NAME]

up      makes the TUN NAME (default: tcplab0) for USER (default: who called sudo),
        with the kernel's addresses on it (default: 192.0.2.1/24 and 2001:db8::1/64),
        and brings it up. Doing it again changes only what differs.
down    removes it, with its addresses and routes. Only one that `up` made is removed.
status  shows it; exit code 1 if it isn't there.

up and down need root. The TUN is gone after a reboot.

Examples:
  sudo setup/tun.sh up
  sudo setup/tun.sh up lab7 --user alice --addr 198.51.100.1/24
  sudo setup/tun.sh down lab7
END
}

# What `up` writes on its interfaces, so that `down` removes no other.
mark='made by tcplab setup/tun.sh'
device=/dev/net/tun

fail() {
    echo "setup/tun.sh: $1" >&2
    exit 1
}

misused() {
    echo "setup/tun.sh: $1 (try --help)" >&2
    exit 2
}

main() {
    [ $# -gt 0 ] || misused 'say up, down or status'
    action=$1
    shift
    case $action in
    up | down | status) ;;
    -h | --help) usage && exit 0 ;;
    *) misused "no such action: $action" ;;
    esac

    name='' user=${SUDO_USER:-$(id -un)} addresses=''
    while [ $# -gt 0 ]; do
        case $1 in
        -h | --help) usage && exit 0 ;;
        --user | --addr)
            [ "$action" = up ] || misused "$1 is for up"
            [ $# -gt 1 ] && [ -n "$2" ] || misused "$1 needs a value"
            case $1 in
            --user) user=$2 ;;
            --addr) addresses="$addresses $2" ;;
            esac
            shift
            ;;
        -*) misused "no such option: $1" ;;
        *)
            [ -z "$name" ] || misused "one name is enough: $1"
            name=$1
            ;;
        esac
        shift
    done
    name=${name:-tcplab0}
    addresses=${addresses:-192.0.2.1/24 2001:db8::1/64}
    check_words

    command -v ip >/dev/null || fail 'the command ip is missing: apt-get install iproute2'
    [ "$action" = status ] || [ "$(id -u)" = 0 ] || fail "$action needs root: sudo setup/tun.sh $action $name"
    "$action"
}

check_words() {
    case $name in
    . | .. | *[!A-Za-z0-9_.-]*) misused "no interface can be named $name" ;;
    esac
    [ ${#name} -le 15 ] || misused "the name is longer than 15 characters: $name"
    for address in $addresses; do
        case $address in
        *[!0-9A-Fa-f.:/]* | */*/* | */) misused "not an ADDRESS/PREFIX: $address" ;;
        */*) ;;
        *) misused "the prefix length is missing: $address" ;;
        esac
    done
}

up() {
    [ -c $device ] || fail "$device is missing: modprobe tun, or in a container start it with --device $device"
    id -u "$user" >/dev/null 2>&1 || fail "no such user: $user"

    if exists; then
        is_ours || fail "the interface $name exists and was not made by this script: choose another name"
        [ "$(owner)" = "$(id -un "$user")" ] ||
            fail "$name belongs to $(owner): take it down first (setup/tun.sh down $name)"
    else
        ip tuntap add dev "$name" mode tun user "$user" || fail "cannot make $name"
        # From here to the end, what fails takes the interface with it.
        trap 'ip tuntap del dev "$name" mode tun' EXIT
        ip link set dev "$name" alias "$mark"
        # Room for what the windows of many connections let through; for 500 packets by itself.
        ip link set dev "$name" txqueuelen 4000
        # Nothing that holds packets back, or drops some, in front of that room.
        ! command -v tc >/dev/null || tc qdisc replace dev "$name" root noqueue 2>/dev/null || true
        # No address of the kernel's own making, and so no packets before yours. Needs IPv6.
        ip link set dev "$name" addrgenmode none 2>/dev/null || true
    fi
    ip link set dev "$name" up

    for present in $(present); do
        case " $addresses " in
        *" $present "*) ;;
        *) ip addr del "$present" dev "$name" ;;
        esac
    done
    for address in $addresses; do
        case $address in
        *:*) ip addr replace "$address" dev "$name" nodad ;;
        *) ip addr replace "$address" dev "$name" ;;
        esac || fail "cannot give $name the address $address"
    done
    trap - EXIT

    echo "$name is up for $user:" $addresses
    may_open || echo "note: $user may not open $device yet: chmod 0666 $device" >&2
}

down() {
    if ! exists; then
        echo "$name is not there"
        return
    fi
    is_ours || fail "$name was not made by this script, it is left alone"
    ip tuntap del dev "$name" mode tun || fail "cannot remove $name: end the program that uses it (tcplab serve)"
    echo "$name is removed"
}

status() {
    if ! exists; then
        echo "$name is not there"
        exit 1
    fi
    is_ours || echo "$name was not made by this script"
    case $(ip link show dev "$name") in
    *LOWER_UP*) state='in use' ;;
    *'UP>'* | *',UP,'*) state='up, not in use' ;;
    *) state='down' ;;
    esac
    echo "$name is $state, for $(owner):" $(present)
}

exists() {
    ip link show dev "$name" >/dev/null 2>&1
}

is_ours() {
    ip link show dev "$name" | grep -qF "alias $mark"
}

# As `ip` tells it; /sys may show another network namespace than ours.
owner() {
    ip -d link show dev "$name" | sed -n 's/.* persist on user \([^ ]*\) .*/\1/p'
}

# The addresses that somebody gave it, one a line.
present() {
    ip -o addr show dev "$name" scope global | awk '{ print $4 }'
}

may_open() {
    # Root of a user namespace may change to nobody else, not even to itself.
    if [ "$user" = "$(id -un)" ]; then
        test -r $device && test -w $device
        return
    fi
    ! command -v runuser >/dev/null || runuser -u "$user" -- sh -c "test -r $device && test -w $device"
}

main "$@"
