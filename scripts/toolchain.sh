# How programs for a board's processor are built: with what this machine has.
#
# Sourced after common.sh. Two routes, the first that works is taken and named:
#   rustup   the toolchain has the target, or `rustup target add` can fetch it: for this machine's own processor
#   debian   Debian's rustc-web compiles core from rust-web-src; the linker is the rustup toolchain's rust-lld,
#            which knows every processor, so no cross gcc is needed. For other processors it comes first: the
#            prebuilt core leaves memcpy and its kin to the binary.
# POUCH_ROUTE=rustup or debian settles it by hand. Each route and processor has a target folder of its own: routes
# would throw away each other's work, and cargo lets one build at a time into a folder.

# No unwind tables, since nobody unwinds PID 1. (scripts/link.rs puts it at a fixed address: addresses are numbers.)
FLAGS="-C force-unwind-tables=no -C relocation-model=static"
# LLVM's own switches, each the smallest of those tried once the binary is packed: comparisons instead of jump tables,
# few copies of small functions, equal ends of blocks once. (Equal runs of instructions as functions of their own,
# enable-machine-outliner, are 0.7 KB less unpacked and 0.8 KB more packed.)
for word in min-jump-table-entries=9999 inline-threshold=10 inline-call-penalty=30 tail-merge-size=1; do
    FLAGS+=" -C llvm-args=-$word"
done
# What a processor's code gets smaller by.
processor_flags() {
    case $1 in
        # Thumb instructions have two bytes or four, ARM's have four: a third of the binary.
        armv7*) echo "-C target-feature=+thumb-mode" ;;
    esac
}

rustup_has() {
    local libdir
    libdir=$(cd "$ROOT" && rustc --print target-libdir --target "$1" 2>/dev/null </dev/null) && [ -d "$libdir" ]
}
native() { case $1 in "$(uname -m)"-*) ;; *) return 1 ;; esac; }
debian_has_core() { [ -x /usr/bin/rustc ] && [ -d /usr/lib/rustlib/src/rust/library/core ]; }

# choose_route TRIPLE: sets ROUTE.
choose_route() {
    local triple=$1
    need_rust
    ROUTE=${POUCH_ROUTE:-}
    if [ -z "$ROUTE" ]; then
        if native "$triple" && rustup_has "$triple"; then ROUTE=rustup
        elif debian_has_core || command -v apt-get >/dev/null 2>&1; then ROUTE=debian
        else ROUTE=rustup
        fi
    fi
    case $ROUTE in
        debian) debian_has_core || locked toolchain need_packages_for_core ;;
        rustup)
            rustup_has "$triple" || { say "fetching the Rust target $triple by rustup"; rustup target add "$triple" >&2 </dev/null; } ||
                die "could not get the Rust target $triple (rustup target add; Debian has rustc-web and rust-web-src instead)"
            ;;
        *) die "POUCH_ROUTE is rustup or debian, not $ROUTE" ;;
    esac
}

need_packages_for_core() {
    # Another script may have done it while this one waited for the lock.
    ! debian_has_core || return 0
    command -v apt-get >/dev/null 2>&1 ||
        die "no Rust target for this board: run \`rustup target add TRIPLE\` where there is a network (Debian: rustc-web and rust-web-src)"
    say "installing rustc-web and rust-web-src (they compile core for any processor)"
    apt_update_once || true
    retry "the packages rustc-web and rust-web-src" install_core
}

# The candidate, then any older version: the security archive can be in the middle of a sync while the main one
# has a whole set. All of one version, or they don't fit each other.
install_core() {
    local version
    apt_install_now rustc-web rust-web-src && return 0
    for version in $(apt-cache madison rustc-web | awk -F'|' '{gsub(/ /, "", $2); print $2}' | tail -n +2); do
        apt_install_now "rustc-web=$version" "rust-web-src=$version" "libstd-rust-web-dev=$version" && return 0
    done
    return 1
}

check_units() {
    local units=${POUCH_UNITS:-64}
    case $units in *[!0-9]* | 0*) units=1 ;; esac
    [ "${#units}" -le 4 ] && [ "$units" -ge 64 ] && [ "$units" -le 1024 ] && [ $((units % 64)) = 0 ] ||
        die "POUCH_UNITS, the most containers at once, is a multiple of 64 from 64 to 1024, not '$POUCH_UNITS'"
}

# build_program BOARD NAME: builds `pouch`, `probe`, or `packed`: pouch as it lies on a board's flash: packed, with
# what unpacks it. The path of the result is in BUILT.
# With POUCH_UNITS=N its tables hold N containers (src/policy/size.rs), in a target folder of its own.
# With UNSTRIPPED=1 symbols are kept, in a target folder of its own: the gates of .ci/run read them.
build_program() {
    local board=$1 name=$2 triple folder units= arguments=() sysroot linker flags
    triple=$(board_key "$board" target)
    check_units
    choose_route "$triple"
    # A probe has no tables.
    [ "$name" = probe ] || units=${POUCH_UNITS:+$POUCH_UNITS-}
    folder=$ROOT/target/${UNSTRIPPED:+unstripped-}$units$ROUTE/${triple%%-*}
    case $name in
        pouch) arguments=(-p pouch --bin pouch) ;;
        packed)
            build_program "$board" pouch
            host_tool
            "$HOST_TOOL" squeeze "$BUILT" "$BUILT.payload"
            export POUCH_PAYLOAD=$BUILT.payload
            # Code for size is a third slower, and here somebody waits for it; each kilobyte of "s" above "z" pays.
            arguments=(-p pouch --bin packed --features packed --config 'profile.release.opt-level="s"')
            ;;
        probe) arguments=(--manifest-path qemu/probe/Cargo.toml); folder=$folder-probe ;;
    esac
    [ -z "${UNSTRIPPED:-}" ] || arguments+=(--config profile.release.strip=false)
    say "building $name for $triple ($([ "$ROUTE" = rustup ] && echo "the rustup toolchain's target" || echo "Debian's rustc-web, core from source, rust-lld"))"
    cd "$ROOT"
    sysroot=$(rustc --print sysroot </dev/null)
    linker=$(echo "$sysroot"/lib/rustlib/*/bin/rust-lld)
    if [ "$ROUTE" = rustup ]; then
        flags=$FLAGS
        # The machine's own cc links for the machine's own processor alone.
        native "$triple" || flags="$flags --cfg pouch_mem -C linker=$linker -C linker-flavor=ld.lld"
        CARGO_TARGET_DIR=$folder RUSTFLAGS=$flags cargo build --quiet --release --target "$triple" "${arguments[@]}" </dev/null >&2
    else
        flags="$FLAGS"
        [ "$name" = probe ] || flags="$flags $(processor_flags "$triple")"
        [ -x "$linker" ] || die "the rustup toolchain has no rust-lld in $sysroot"
        CARGO_TARGET_DIR=$folder RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
            RUSTFLAGS="$flags -C linker=$linker -C linker-flavor=ld.lld" \
            cargo build --quiet -Zbuild-std=core,compiler_builtins -Zbuild-std-features=compiler-builtins-mem,optimize_for_size \
            --release --target "$triple" "${arguments[@]}" </dev/null >&2
    fi || die "$name does not build for $triple"
    BUILT=$folder/$triple/release/$name
}
