#!/bin/bash
# Tests the library on other Pythons than the one of `make test`: each in an environment of its own, with the newest of what
# the library needs, and without torch, so that only those tests run that do not import it.
# Usage: tests/fresh/pythons.sh [VERSION...]    (else 3.12 and 3.13)
# Environment: BLOCKCORE_REQUIRE names those, as python3.12, that must be here; others are told and left out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PACKAGES=(numpy pillow numba scipy tqdm "pytest>=8" pytest-xdist hypothesis packaging setuptools nbtlib litemapy mcschematic)
# These are about the checkout and the machine, and the Python of `make test`.
ELSEWHERE='test_(house|documentation|packaging|system_libraries|parts|farm|dead_links|quality)\.py'

find_python() {
    local python
    for python in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if "$python" -c 'import venv, ssl' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
}

[ "$#" -gt 0 ] || set -- 3.12 3.13
mapfile -t tests < <(grep -LE '(import|from) torch' tests/unit/test_*.py | grep -vE "$ELSEWHERE")
for version in "$@"; do
    python="$(find_python "$version")"
    if [ -z "$python" ]; then
        echo "pythons: Python $version is not to be had here, and left out"
        case ",${BLOCKCORE_REQUIRE:-}," in *",python$version,"*) exit 2 ;; esac
        continue
    fi
    environment=".venv/python$version"
    if [ ! -e "$environment/ready" ]; then
        "$python" -m venv "$environment"
        "$environment/bin/python" -m pip install --quiet --disable-pip-version-check "${PACKAGES[@]}"
        touch "$environment/ready"
    fi
    echo "pythons: $("$environment/bin/python" -c 'import sys, numpy; print("Python", sys.version.split()[0], "with numpy", numpy.__version__)')"
    # What must be here for the tests of `make test`, such as bpy, is not in these environments.
    BLOCKCORE_REQUIRE="" "$environment/bin/python" -m pytest -q -n auto --dist worksteal -m 'not alone' -p no:cacheprovider "${tests[@]}"
done
