# Sourced by deploy/try and deploy/test: installs what is missing, says what it does, costs nothing when all is there.
# Needs: Debian 12 or newer, or Raspberry Pi OS Bookworm or newer.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
python=/usr/bin/python3 # Debian's own: the versions that are tested, whatever else a machine has
unset PYTHONDONTWRITEBYTECODE # our programs are started a thousand times: each module is compiled once

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
fail() {
    printf 'deploy: %s\n' "$*" >&2
    exit 1
}

# not_installed PACKAGE…: those that are missing, one a line.
not_installed() {
    local package
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done
}

# apt_install PACKAGE…: those that are missing, as root or through sudo.
apt_install() {
    local missing
    mapfile -t missing < <(not_installed "$@")
    [ ${#missing[@]} -eq 0 ] && return
    say "Installing Debian packages: ${missing[*]}"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "these packages are missing and there is no sudo: ${missing[*]}"
        as_root=(sudo)
    fi
    # A machine that has just started may be installing updates by itself: that is waited for.
    local apt=(apt-get -o DPkg::Lock::Timeout=600 -qq)
    "${as_root[@]}" "${apt[@]}" update
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null
}

# venv_stamp REQUIREMENTS…: what a virtual environment is made from, and where it is.
venv_stamp() {
    local files=("$root/deploy/requirements-build.txt") name
    for name in "$@"; do files+=("$root/deploy/$name"); done
    printf '%s' "$(cat "${files[@]}" "$root/pyproject.toml" | sha256sum)-${venv%/*}-$("$python" --version)"
}

# venv_is_ready REQUIREMENTS…: whether it was made from exactly these.
venv_is_ready() {
    [ "$(cat "$venv/.stamp-$#" 2>/dev/null)" = "$(venv_stamp "$@")" ]
}

# venv_install REQUIREMENTS…: exactly these versions, checked against their hashes; skipped when nothing changed.
venv_install() {
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "needs Debian's python3, 3.11 or newer (Debian 12, Raspberry Pi OS Bookworm)"
    venv_is_ready "$@" && return
    local files=("$root/deploy/requirements-build.txt") name
    for name in "$@"; do files+=("$root/deploy/$name"); done
    # One that was not finished is made anew: after a power cut, files may be empty that pip believes to be there.
    if [ -e "$venv/.unfinished" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1 ||
        [ "$("$venv/bin/python" --version)" != "$("$python" --version)" ]; then
        say "Making a virtual environment in .venv"
        "$python" -m venv --clear "$venv"
    fi
    rm -f "$venv/.stamp-$#"
    touch "$venv/.unfinished"
    sync "$venv/.unfinished"
    local pip=("$venv/bin/python" -m pip --disable-pip-version-check --quiet --quiet install)
    say "Installing Python packages (pinned, hashes checked); the first time takes a minute or two"
    "${pip[@]}" --require-hashes -r "${files[0]}"
    for name in "${files[@]:1}"; do
        "${pip[@]}" --require-hashes --no-build-isolation -r "$name"
    done
    "${pip[@]}" --no-deps --no-build-isolation --editable "$root" 2>"$venv/editable.log" || {
        cat "$venv/editable.log" >&2
        fail "the project itself could not be installed"
    }
    sync -f "$venv"
    venv_stamp "$@" >"$venv/.stamp-$#"
    rm "$venv/.unfinished"
}

# What systemd-python and, where they have no wheel, sslpsk-pmd3 and lgpio (Python 3.13) are built with.
build_packages=(python3-venv python3-dev gcc libc6-dev pkg-config libsystemd-dev libssl-dev swig)
export PYPI=1 # has lgpio's setup.py build its library in, as in its wheels

# What the virtual machine of the tests is built and run with.
vm_packages=(mmdebstrap busybox-static cpio kmod e2fsprogs dosfstools exfatprogs fdisk xz-utils gcc make libelf1)
case $(dpkg --print-architecture) in
amd64) vm_packages+=(qemu-system-x86) ;;
arm64) vm_packages+=(qemu-system-arm) ;;
esac
