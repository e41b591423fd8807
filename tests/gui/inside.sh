#!/bin/bash
# Runs a command inside Blender's tree (see setup.sh), with the folders it shares at the same paths as outside.
# Usage: tests/gui/inside.sh FOLDER... -- COMMAND [ARGUMENT...]
# There is no network. Mounts and processes live in namespaces of their own: all of them are gone when the command ends, or this is killed.
set -euo pipefail

TREE="${BLOCKCORE_GUI_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/blockcore-gui}"

if [ "${1:-}" != --in-namespace ]; then
    exec unshare --mount --pid --net --fork --kill-child --propagation private "$0" --in-namespace "$@"
fi
shift

mount -t proc proc "$TREE/proc"
mount --rbind /dev "$TREE/dev"
while [ "$1" != -- ]; do
    mkdir -p "$TREE$1"
    mount --rbind "$1" "$TREE$1"
    shift
done
shift
exec chroot "$TREE" "$@"
