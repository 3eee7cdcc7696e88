# What the scripts share: words to the person, tools, the download cache, packages, boards.
#
# Sourced, never run. Every function either does its work or ends the script with the name of what it
# could not get: a script that goes on without something has only hidden the failure.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/pouch
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
BOARDS_OUT=$ROOT/target/boards
ALL_BOARDS=$(cd "$ROOT/board" && for folder in */; do [ ! -f "$folder/board.conf" ] || echo "${folder%/}"; done)

# A mirror in the middle of a sync answers again within minutes; more tries than this hide a real loss.
FETCH_TRIES=5
FETCH_PAUSE=10

# Standard output belongs to what a script produces (the board's serial port); talk goes to standard error.
say() { printf 'pouch: %s\n' "$*" >&2; }
die() { printf 'pouch: error: %s\n' "$*" >&2; exit 1; }

# rustup's own folder, for shells that were started before it was installed.
command -v cargo >/dev/null 2>&1 || PATH=$PATH:$HOME/.cargo/bin
# A user's PATH on Debian leaves out the folders where depmod and mkfs.fat stand.
PATH=$PATH:/usr/sbin:/sbin

# as_root COMMAND...: only package installation wants it.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1; then sudo "$@"
    else die "installing needs root and there is no sudo: run as root: $*"
    fi
}

# retry WHAT COMMAND...: tries again after a pause; ends the script with WHAT when it never worked.
retry() {
    local what=$1 try; shift
    for ((try = 1; try <= FETCH_TRIES; try++)); do
        if "$@"; then return 0; fi
        [ "$try" = "$FETCH_TRIES" ] || { say "$what: attempt $try of $FETCH_TRIES failed, again in $FETCH_PAUSE s"; sleep "$FETCH_PAUSE"; }
    done
    die "could not get $what ($FETCH_TRIES attempts)"
}

# locked NAME|FILE COMMAND...: one script at a time does this, to the cache or to what FILE stands for; the others wait.
locked() {
    local name=$1 fd lock; shift
    case $name in /*) lock=$name; name=$(basename "$name") ;; *) lock=$CACHE/$name ;; esac
    mkdir -p "$(dirname "$lock")"
    exec {fd}>"$lock.lock"
    flock -n "$fd" || { say "waiting for another script that holds $name"; flock "$fd"; }
    # The lock dies with the descriptor, which no child may keep: a QEMU would hold it for hours.
    "$@"
    exec {fd}>&-
}

apt_update_once() {
    [ -n "${APT_UPDATED:-}" ] || { say "updating the package lists"; as_root apt-get -qq -o DPkg::Lock::Timeout=600 update || return 1; APT_UPDATED=1; }
}
apt_install_now() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -qq -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 \
        install --no-install-recommends "$@" >&2 </dev/null && return 0
    # The lists may name versions that the mirror no longer has.
    APT_UPDATED=; apt_update_once; return 1
}

# need TOOL PACKAGE [TOOL PACKAGE]...: installs the packages whose tools are not there, in one go.
need() {
    local missing=() tools=()
    while [ $# -gt 0 ]; do
        command -v "$1" >/dev/null 2>&1 || { missing+=("$2"); tools+=("$1"); }
        shift 2
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null 2>&1 ||
        die "missing tools: ${tools[*]} (Debian has them in: ${missing[*]}); there is no apt here: install them and run this again"
    say "installing ${missing[*]} (for ${tools[*]})"
    apt_update_once || true
    retry "the packages ${missing[*]}" apt_install_now "${missing[@]}"
}

# together COMMAND...: runs a command for each line of standard input, the line's words behind it, as many at once as
# there are processors. Ends the script when one of them failed, once the others have ended.
together() {
    local line failed=0 running=0
    while read -r line; do
        [ "$running" -lt "$(nproc)" ] || { wait -n || failed=1; running=$((running - 1)); }
        # shellcheck disable=SC2086 # words
        "$@" $line </dev/null &
        running=$((running + 1))
    done
    while [ "$running" -gt 0 ]; do wait -n || failed=1; running=$((running - 1)); done
    [ "$failed" = 0 ] || die "a part of what ran side by side failed (above)"
}

need_rust() {
    command -v cargo >/dev/null 2>&1 || die "missing tool: cargo; install Rust by rustup (stable), then run this again"
    # The host crate has std and so wants a linker driver and libc's start files.
    need cc gcc
    [ -e /usr/include/stdlib.h ] || ! command -v apt-get >/dev/null 2>&1 || { say "installing libc6-dev"; retry libc6-dev apt_install_now libc6-dev; }
}

# board_key BOARD KEY: one value of a board's description, empty where it has none.
board_key() {
    sed -n "s/^$2[[:space:]]*=[[:space:]]*//p" "$ROOT/board/$1/board.conf" | sed 's/[[:space:]]*$//'
}

check_board() {
    [ -f "$ROOT/board/$1/board.conf" ] || die "no board '$1'; there are: $(echo $ALL_BOARDS)"
}

# ---- Debian packages, of any architecture, without touching the machine's own set-up ----

# apt_for ARCH TOOL ARG...: apt with lists of its own for that architecture; needs no root.
apt_for() {
    local arch=$1 tool=$2 state=$CACHE/apt/$1; shift 2
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
    "$tool" -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o Dir::State="$state" \
        -o Dir::State::Lists="$state/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$state/cache" \
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
        -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o APT::Sandbox::User="$(id -un)" "$@"
}

# fetch_once ARCH PACKAGE FOLDER: the newest version the mirrors really have, the candidate first.
fetch_once() {
    local arch=$1 package=$2 folder=$3 version
    apt_for "$arch" apt-get -qq update >&2 || say "some package lists for $arch could not be read; going on with the others"
    for version in $(apt_for "$arch" apt-cache madison "$package" | awk -F'|' '{gsub(/ /, "", $2); print $2}' | awk '!seen[$0]++'); do
        say "downloading $package $version ($arch)"
        if (cd "$folder" && apt_for "$arch" apt-get -qq download "$package=$version" >&2); then return 0; fi
        say "the mirror does not have $package $version"
        rm -f "$folder"/*.deb
    done
    return 1
}

# fetch_kernel_once ARCH META FOLDER: a kernel's name changes with its ABI; the meta package names today's.
fetch_kernel_once() {
    local arch=$1 meta=$2 folder=$3 version image
    apt_for "$arch" apt-get -qq update >&2 || say "some package lists for $arch could not be read; going on with the others"
    for version in $(apt_for "$arch" apt-cache madison "$meta" | awk -F'|' '{gsub(/ /, "", $2); print $2}' | awk '!seen[$0]++'); do
        image=$(apt_for "$arch" apt-cache show "$meta=$version" | sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' | head -n 1)
        [ -n "$image" ] || continue
        say "downloading $image $version ($arch)"
        if (cd "$folder" && apt_for "$arch" apt-get -qq download "$image=$version" >&2); then return 0; fi
        say "the mirror does not have $image $version"
        rm -f "$folder"/*.deb
    done
    return 1
}

# unpacked KIND ARCH PACKAGE: prints the cache folder that holds the package's files; fetches it when it is new.
# KIND is `kernel` (PACKAGE is a meta package, and modules.dep is made) or `plain`.
unpacked() {
    local folder=$CACHE/packages/$2/$3
    [ -d "$folder" ] && [ -z "${POUCH_REFRESH:-}" ] || locked packages unpack "$@" || return 1
    echo "$folder"
}
unpack() {
    local kind=$1 arch=$2 package=$3 folder=$CACHE/packages/$2/$3 work modules
    # Another script may have done it while this one waited for the lock.
    [ ! -d "$folder" ] || [ -n "${POUCH_REFRESH:-}" ] || return 0
    command -v apt-get >/dev/null 2>&1 ||
        die "no apt here to fetch $package ($arch): give the file by POUCH_KERNEL, POUCH_MODULES, POUCH_BUSYBOX (see --help)"
    need dpkg-deb dpkg
    mkdir -p "$CACHE/packages/$arch"
    work=$(mktemp -d "$CACHE/packages/new.XXXXXX")
    mkdir "$work/deb" "$work/tree"
    case $kind in
        kernel) retry "$package ($arch) from the Debian mirrors" fetch_kernel_once "$arch" "$package" "$work/deb" ;;
        *) retry "$package ($arch) from the Debian mirrors" fetch_once "$arch" "$package" "$work/deb" ;;
    esac
    say "unpacking $(basename "$work"/deb/*.deb)"
    dpkg-deb -x "$work"/deb/*.deb "$work/tree"
    if [ "$kind" = kernel ]; then
        # The package's own modules.dep is made on installation, by this very tool.
        need depmod kmod
        for modules in "$work"/tree/lib/modules/*; do depmod -b "$work/tree" "${modules##*/}"; done
    fi
    rm -rf "$folder"
    mv "$work/tree" "$folder"
    rm -rf "$work"
}

# fetch_files BOARD: sets TREE (its kernel's files) and BUSYBOX; fetches what the cache lacks.
fetch_files() {
    local arch; arch=$(board_key "$1" debian)
    if [ -n "${POUCH_KERNEL:-}" ] && [ -n "${POUCH_MODULES:-}" ]; then TREE=$POUCH_MODULES
    else
        TREE=$(unpacked kernel "$arch" "$(board_key "$1" kernel_package)")
        [ -z "${POUCH_MODULES:-}" ] || TREE=$POUCH_MODULES
    fi
    if [ -n "${POUCH_BUSYBOX:-}" ]; then BUSYBOX=$POUCH_BUSYBOX
    else BUSYBOX=$(unpacked plain "$arch" "$(board_key "$1" busybox_package)")/bin/busybox
    fi
}

# host_tool: builds the host crate once and prints the path of its binary.
host_tool() {
    [ -n "${HOST_TOOL_BUILT:-}" ] || { need_rust; say "building the host tool"; (cd "$ROOT" && env -u POUCH_UNITS cargo build --quiet -p pouch-qemu --bin pouch-qemu </dev/null >&2) || die "the host tool does not build"; }
    HOST_TOOL_BUILT=1
    HOST_TOOL=$TARGET/debug/pouch-qemu
}
