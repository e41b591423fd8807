#!/bin/bash
# Proves the README's commands on a bare machine: clones HEAD into a minimal Debian tree with Python 3.11, make and git, runs
# them there as a newcomer would, and sees that a second run has nothing to set up.
# Usage: tests/fresh/run.sh [TARGET...]    (as root; make's targets, else demo and test)
# Environment: BLOCKCORE_FRESH_ROOT, the folder of the trees; BLOCKCORE_FRESH_SECONDS, after which it fails;
# BLOCKCORE_REQUIRE, the parts no test may skip for.
set -euo pipefail

SUITE=bookworm
PACKAGES="python3,python3-venv,make,git,ca-certificates"
ROOT="${BLOCKCORE_FRESH_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/blockcore-fresh}"
REPOSITORY="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
BASE="$ROOT/$SUITE"
LIMIT="${BLOCKCORE_FRESH_SECONDS:-2100}"

fail() {
    echo "fresh: $1" >&2
    exit 2
}

debian_sources() {
    apt-get indextargets --format "$1" 'Created-By: Packages' 'Origin: Debian' "${@:2}"
}

# The bare system, installed once.
install_base() {
    [ "$(cat "$BASE/installed-packages" 2>/dev/null)" = "$SUITE $PACKAGES" ] && return
    local mirror
    apt-get update -qq || true
    mirror="$(debian_sources '$(REPO_URI)' 'Label: Debian' | sed -n 1p)"
    [ -n "$mirror" ] || fail "apt knows no Debian mirror"
    rm -rf "$BASE" "$BASE.new"
    debootstrap --variant=minbase --include="$PACKAGES" "$SUITE" "$BASE.new" "$mirror" >"$ROOT/debootstrap.log" ||
        fail "the tree cannot be installed; see $ROOT/debootstrap.log"
    echo "$SUITE $PACKAGES" >"$BASE.new/installed-packages"
    mv "$BASE.new" "$BASE"
}

# The machine's ways to package registries: names, certificates, apt's sources and pip's configuration.
copy_registries() {
    local path
    cp -L /etc/resolv.conf /etc/hosts "$TREE/etc/"
    [ ! -d /usr/local/share/ca-certificates ] || cp -rL /usr/local/share/ca-certificates "$TREE/usr/local/share/"
    chroot "$TREE" update-ca-certificates >/dev/null 2>&1
    debian_sources 'deb $(REPO_URI) $(CODENAME) $(COMPONENT)' | grep " $SUITE" | sort -u >"$TREE/etc/apt/sources.list.d/machine.list" || true
    apt-config dump | grep -E '^Acquire::(http|https|Check|Retries)' >"$TREE/etc/apt/apt.conf.d/machine" || true
    {
        python3 -m pip config debug | sed -n 's/^ *\(.*\), exists: True$/\1/p'
        # The pages of a file:// index link to files beside it, so its parent comes along.
        python3 -m pip config list | sed 's/\\n/ /g' | tr "='\" " '\n' |
            sed -n -e 's,^file://\(/..*\)/[^/][^/]*/*$,\1,p' -e '/^\//p'
    } | sort -u | while read -r path; do
        if [ -f "$path" ]; then
            cp -L --parents "$path" "$TREE"
        elif [ -d "$path" ]; then
            mkdir -p "$TREE$path"
            mount --bind "$path" "$TREE$path"
            mount -o remount,bind,ro "$TREE$path"
        fi
    done
}

# Of the machine's devices only those that every machine has: no graphics card, no screen.
mount_devices() {
    local device
    mount -t proc proc "$TREE/proc"
    mount -t tmpfs -o mode=1777 tmp "$TREE/tmp"
    mount -t tmpfs -o mode=755 dev "$TREE/dev"
    mkdir "$TREE/dev/shm" "$TREE/dev/pts"
    mount -t tmpfs -o mode=1777 shm "$TREE/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$TREE/dev/pts"
    for device in null zero full random urandom tty; do
        touch "$TREE/dev/$device"
        mount --bind "/dev/$device" "$TREE/dev/$device"
    done
    ln -s pts/ptmx "$TREE/dev/ptmx"
    ln -s /proc/self/fd "$TREE/dev/fd"
    ln -s /proc/self/fd/0 "$TREE/dev/stdin"
    ln -s /proc/self/fd/1 "$TREE/dev/stdout"
    ln -s /proc/self/fd/2 "$TREE/dev/stderr"
}

# With nothing of the machine's environment but the ways out of it.
inside() {
    local ways
    mapfile -t ways < <(env | grep -iE '^(pip_[a-z_]*|[a-z]+_proxy|ssl_cert_(file|dir)|(requests|curl)_ca_bundle)=')
    chroot "$TREE" /usr/bin/env -i "${ways[@]}" HOME="$HOME" USER=root TERM=dumb PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        BLOCKCORE_REQUIRE="${BLOCKCORE_REQUIRE:-}" sh -c "cd '$HOME/blockcore' && $1"
}

timed() {
    local start=$SECONDS
    "${@:2}" || return
    echo "fresh: $1: $((SECONDS - start)) s"
}

main() {
    timed "bare system" install_base
    cp -a --reflink=auto "$BASE/." "$TREE"
    mount --bind "$TREE" "$TREE"
    copy_registries
    mount_devices
    mkdir -p "$TREE$HOME"
    git clone --quiet --no-hardlinks "$REPOSITORY" "$TREE$HOME/blockcore"
    git -C "$TREE$HOME/blockcore" checkout --quiet "$(git -C "$REPOSITORY" rev-parse HEAD)"
    local target stamp
    for target in "$@"; do
        timed "make $target" inside "make $target" || fail "make $target fails on a bare system"
        case $target in demo) stamp=.venv/.libraries ;; *) stamp=.venv/.test-libraries ;; esac
        inside "make --question $stamp" || fail "a second make $target would set up again what is there"
    done
    [ -z "$(inside 'git status --porcelain')" ] || fail "the clone is no longer as it was: $(inside 'git status --short')"
    echo "fresh: a bare system runs: $*"
}

if [ "${1:-}" = --in-namespace ]; then
    TREE="$2"
    main "${@:3}"
    exit
fi
[ "$(id -u)" = 0 ] || fail "a bare system can only be made as root; run tests/fresh/run.sh as root"
if ! command -v debootstrap >/dev/null; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends debootstrap ||
        fail "debootstrap cannot be installed; install it: apt-get install debootstrap"
fi
python3 -m pip --version >/dev/null 2>&1 || fail "python3 has no pip to tell the package registries; install python3-pip"
[ "$#" -gt 0 ] || set -- demo test
mkdir -p "$ROOT"
TREE="$(mktemp -d "$ROOT/run.XXXXXX")"
trap 'rm -rf --one-file-system "$TREE"' EXIT
# Namespaces of its own: what is mounted or started in them is gone when they end, however they end.
status=0
timeout --kill-after=10 "$LIMIT" unshare --mount --propagation private --pid --fork --kill-child \
    "${BASH_SOURCE[0]}" --in-namespace "$TREE" "$@" || status=$?
[ "$status" != 124 ] || fail "not done after $LIMIT s"
exit "$status"
