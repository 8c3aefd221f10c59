# Shared by the scripts beside it: where the tree is, how to talk, how to get Debian packages and the binary.
# shellcheck shell=bash

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '==> %s\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Runs a command as root: as it is, or by sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "root is needed for: $* (there is no sudo; run it as root, then start again)"
    fi
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# install_missing PACKAGE...: installs those Debian packages that are not there.
install_missing() {
    local missing=() package
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "no apt-get here; please install: ${missing[*]}"
    say "installing ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" >&2 && return
    as_root apt-get update >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" >&2 ||
        die "could not install: ${missing[*]}"
}

# What building and running need beside Swift itself.
install_prerequisites() {
    install_missing libssl-dev libcrypt-dev libsqlite3-dev pkg-config python3 curl
    command -v swift >/dev/null || die "Swift 6.3 is needed: https://www.swift.org/install/linux/"
}

# Sets `hauberk` to the binary, built in release mode, or to $HAUBERK_BINARY as it is.
build_release() {
    if [ -n "${HAUBERK_BINARY:-}" ]; then
        hauberk=$HAUBERK_BINARY
        [ -x "$hauberk" ] || die "HAUBERK_BINARY=$hauberk is no program"
        return
    fi
    install_prerequisites
    say "building (release)"
    # Checks of exclusive access at run time take a tenth of a delivery's instructions; debug builds, which all tests of
    # modules run on, keep them. Static libraries make calls into them direct, and the binary runs where Swift is not.
    swift build --package-path "$repository" -c release --product hauberk --static-swift-stdlib \
        -Xswiftc -enforce-exclusivity=unchecked --explicit-target-dependency-import-check error >&2
    hauberk=$(swift build --package-path "$repository" -c release --show-bin-path)/hauberk
}

# process_names CONFIG: the names of its frontends and nodes, a line each.
process_names() {
    sed -n 's/^ *- *name: *\([A-Za-z0-9._-]*\).*/\1/p' "$1"
}
