# Debian's programs that pouch is measured against, with all that they depend on.
#
# Sourced after common.sh. They go to a tree in the cache and nowhere else: nothing of them is installed.

PEERS="crun runc bubblewrap lxc tini catatonit dumb-init s6 execline finit conmon containerd tmux util-linux coreutils dash ncurses-base libc-bin"

# peers ARCH: sets PEERS_TREE to the folder that has all of them unpacked; fetches what is new.
peers() {
    PEERS_TREE=$CACHE/peers/$1/tree
    # The list is part of the folder's name: a longer one is fetched anew.
    [ "$(cat "$CACHE/peers/$1/list" 2>/dev/null)" = "$PEERS" ] && [ -z "${POUCH_REFRESH:-}" ] || locked peers peers_unpack "$1"
}

peers_unpack() {
    local arch=$1 folder=$CACHE/peers/$1 package file
    # Another script may have done it while this one waited for the lock.
    [ "$(cat "$folder/list" 2>/dev/null)" != "$PEERS" ] || [ -n "${POUCH_REFRESH:-}" ] || return 0
    command -v apt-get >/dev/null 2>&1 || die "no apt here to fetch the peers: run with POUCH_NO_PEERS=1"
    need dpkg-deb dpkg
    rm -rf "$folder"
    mkdir -p "$folder/deb/partial" "$folder/tree"
    retry "the package lists for $arch" apt_for "$arch" apt-get -qq update >&2
    for package in $PEERS; do
        [ -n "$(apt_for "$arch" apt-cache madison "$package")" ] || die "Debian has no package $package for $arch (a peer of the bench)"
    done
    say "downloading the bench's peers ($arch): $PEERS"
    retry "the packages $PEERS ($arch)" apt_for "$arch" apt-get -qq -y --no-install-recommends --download-only \
        -o Debug::NoLocking=1 -o Dir::Cache::archives="$folder/deb" install $PEERS >&2
    # Debian's folders at the top are links into usr; a package may have its files by either name.
    for package in bin sbin lib lib64; do mkdir -p "$folder/tree/usr/$package"; ln -s "usr/$package" "$folder/tree/$package"; done
    for file in "$folder"/deb/*.deb; do
        dpkg-deb --fsys-tarfile "$file" | tar -x --keep-directory-symlink --no-same-owner -C "$folder/tree" \
            --exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale
    done
    rm -rf "$folder/deb"
    echo "$PEERS" >"$folder/list"
}
