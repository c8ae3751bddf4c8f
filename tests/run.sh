#!/usr/bin/env bash
# Everything a change must pass, in a fresh virtual environment:
# system libraries, install, manifest, ruff, mypy, import arrows, on all cores the fast
# tests and then those that open windows, with a screen of its own for each process.
#
#   bash tests/run.sh            all of it
#   bash tests/run.sh -k scan    arguments go to pytest
#   SESAMI_VENV=.venv bash tests/run.sh   use (and keep) this environment
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(xvfb xauth libegl1 libgl1 libgl1-mesa-dri libglib2.0-0 libdbus-1-3
  libfontconfig1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0
  libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xkb1
  libx11-xcb1 fonts-dejavu-core)

missing_packages() {
  local name
  for name in "${packages[@]}"; do
    # Newer releases call libglib2.0-0 libglib2.0-0t64.
    dpkg-query -W -f='${Status}\n' "$name" "${name}t64" 2>/dev/null |
      grep -q 'install ok installed' || echo "$name"
  done
}

if [ "$(uname)" = Linux ]; then
  if command -v dpkg-query >/dev/null; then
    mapfile -t missing < <(missing_packages)
    if [ "${#missing[@]}" -gt 0 ]; then
      if [ "$(id -u)" = 0 ]; then
        echo "== Installing ${missing[*]}"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
          --no-install-recommends "${missing[@]}" >/dev/null
      else
        echo "The GUI tests need these packages. Please run:" >&2
        echo "  sudo apt-get install ${missing[*]}" >&2
        exit 1
      fi
    fi
  elif ! command -v Xvfb >/dev/null; then
    echo "The GUI tests need Xvfb and the Qt/XCB libraries of your distribution" >&2
    echo "(on Debian: ${packages[*]})." >&2
    exit 1
  fi
fi

if [ -n "${SESAMI_VENV:-}" ]; then
  venv=$SESAMI_VENV
else
  venv=$(mktemp -d)/venv
  trap 'rm -rf "$(dirname "$venv")"' EXIT
fi
if [ ! -x "$venv/bin/python" ]; then
  echo "== Creating a virtual environment"
  "${PYTHON:-python3}" -m venv "$venv"
fi
echo "== Installing napari-sesami with its extras all and test"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e ".[all,test]"
PATH=$(cd "$venv/bin" && pwd):$PATH
unset QT_QPA_PLATFORM # "offscreen" would give GUI tests a blank canvas

step() {
  echo "== $*"
  "$@"
}
step npe2 validate --imports napari-sesami
step ruff check .
step ruff format --check .
step mypy
step lint-imports
export OMP_NUM_THREADS=1 # on tiny tensors a second thread only waits

tests() { # status 5: the arguments leave none of them, which is no failure
  step pytest "$@" || [ $? = 5 ]
}
tests -n auto "$@"
tests -n auto --dist loadfile -m "gui and not slow and not benchmark" "$@"
