#!/bin/bash
# Installs a real Blender with a window, once: a Debian 13 tree with Blender, a virtual screen and a mouse to move.
# Usage: tests/gui/setup.sh    (as root; BLOCKCORE_GUI_ROOT names the tree's folder)
set -euo pipefail

SUITE=trixie
PACKAGES="blender python3-numpy xvfb xdotool imagemagick libgl1-mesa-dri tesseract-ocr procps"
TREE="${BLOCKCORE_GUI_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/blockcore-gui}"
STAMP="$TREE/installed-packages"

if [ "$(cat "$STAMP" 2>/dev/null)" = "$SUITE $PACKAGES" ]; then
    echo "gui: Blender's tree is there already: $TREE"
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "gui: the tree can only be installed as root; run tests/gui/setup.sh as root once" >&2
    exit 2
fi
if [ -e "$TREE" ] && [ ! -e "$TREE/etc/debian_version" ]; then
    echo "gui: $TREE is something else than Blender's tree; set BLOCKCORE_GUI_ROOT to another folder" >&2
    exit 2
fi
# A mount namespace of its own: whatever is mounted below is gone when this script ends, however it ends.
if [ "${1:-}" != --in-namespace ]; then
    exec unshare --mount --propagation private "$0" --in-namespace
fi

if ! command -v debootstrap >/dev/null; then
    apt-get install -y --no-install-recommends debootstrap
fi
MIRROR="$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)"
if [ -z "$MIRROR" ]; then
    echo "gui: apt knows no Debian mirror; run apt-get update first" >&2
    exit 2
fi

FRESH="$TREE.fresh"
rm -rf "$FRESH" "$TREE"
debootstrap --variant=minbase "$SUITE" "$FRESH" "$MIRROR"
mount -t proc proc "$FRESH/proc"
mount --rbind /dev "$FRESH/dev"
DEBIAN_FRONTEND=noninteractive chroot "$FRESH" sh -ec "
    echo 'force-unsafe-io' >/etc/dpkg/dpkg.cfg.d/fast
    apt-get install -y --no-install-recommends $PACKAGES
    apt-get clean
    ln -s ../proc/self/mounts /etc/mtab"
umount -R "$FRESH/dev" "$FRESH/proc"
mv "$FRESH" "$TREE"
echo "$SUITE $PACKAGES" >"$STAMP"
echo "gui: installed $(chroot "$TREE" blender --version 2>/dev/null | head -n 1) in $TREE"
