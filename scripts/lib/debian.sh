# Debian packages as files: fetched with a private apt state, unpacked into the cache, never installed.
# Sourced by setup. A private state, because the host knows no foreign architecture and must not learn one.
# shellcheck shell=sh

SUITE=$DEBIAN
APT_DIR=
TMP=

can_be_root() { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# cache_lock: from here on we are alone in the cache.
cache_lock() {
    [ -z "$TMP" ] || return 0
    mkdir -p "$CACHE/debs" "$CACHE/trees" || die "cannot write to $CACHE (set XDG_CACHE_HOME to a place that can be written)"
    exec 9>"$CACHE/lock"
    if ! flock -n 9; then
        say "waiting for another setup to finish ..."
        flock 9
    fi
    rm -rf "$CACHE"/tmp.* # left by a run that was killed
    TMP=$(mktemp -d "$CACHE/tmp.XXXXXX")
    trap 'rm -rf "$TMP"' EXIT
    trap 'exit 130' INT TERM HUP
}

# debian_mirror: the host's own Debian mirror, as apt knows it.
debian_mirror() {
    if [ -n "${LINCHPIN_DEBIAN_MIRROR:-}" ]; then
        echo "$LINCHPIN_DEBIAN_MIRROR"
        return
    fi
    # Suites like bookworm-updates and -security are other archives, or parts of it.
    # shellcheck disable=SC2016  # apt expands these
    apt-get indextargets --format '$(RELEASE) $(REPO_URI)' \
        'Created-By: Packages' 'Component: main' 'Origin: Debian' |
        awk '$1 !~ /-/ { print $2; exit }'
}

apt_private() {
    apt_tool=$1
    shift
    "$apt_tool" -c "$APT_DIR/apt.conf" "$@"
}

# debian_index: fetches the signed package lists of SUITE, once a run and only if something must be downloaded.
debian_index() {
    APT_DIR=$TMP/apt.$SUITE
    [ ! -e "$APT_DIR" ] || return 0
    mirror=$(debian_mirror)
    if [ -z "$mirror" ] && can_be_root; then
        # apt tells only after it has fetched its lists once; container images come without.
        as_root apt-get -q update >&2
        mirror=$(debian_mirror)
    fi
    [ -n "$mirror" ] || die "apt knows no Debian mirror. Run 'sudo apt-get update', or set LINCHPIN_DEBIAN_MIRROR"
    mkdir -p "$APT_DIR/lists/partial" "$APT_DIR/cache/archives/partial"
    : >"$APT_DIR/status"
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    option="[target=Packages] "
    if [ -r "$keyring" ]; then option="[target=Packages signed-by=$keyring] "; fi
    echo "deb $option$mirror $SUITE main" >"$APT_DIR/sources.list"
    # Read after the host's own configuration, which knows about proxies and certificates.
    cat >"$APT_DIR/apt.conf" <<EOF
#clear APT::Architectures;
APT::Architectures { "$(dpkg --print-architecture)"; "amd64"; "arm64"; "armhf"; };
#clear APT::Update;
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::State "$APT_DIR";
Dir::State::lists "$APT_DIR/lists";
Dir::State::status "$APT_DIR/status";
Dir::Cache "$APT_DIR/cache";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Etc::sourcelist "$APT_DIR/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
EOF
    say "fetching Debian's package lists (26 MB) ..."
    apt_private apt-get -q update >&2 || die "cannot fetch the package lists from $mirror"
}

# debian_concrete PACKAGE:ARCH: a kernel's meta package stands for the package of its newest version.
debian_concrete() {
    case $1 in
    linux-image-[0-9]*) echo "$1" ;;
    linux-image-*)
        concrete=$(apt_private apt-cache depends "$1" | sed -n 's/^ *Depends: \(linux-image-[0-9][^ :]*\).*/\1/p' | head -n 1)
        [ -n "$concrete" ] || die "Debian $SUITE has no $1"
        echo "$concrete:${1#*:}" ;;
    *) echo "$1" ;;
    esac
}

# debian_fetch RECORD PACKAGE:ARCH...: downloads, and writes RECORD, a sha256sum file of what was downloaded.
debian_fetch() {
    record=$1
    shift
    debian_index
    for package in "$@"; do
        set -- "$@" "$(debian_concrete "$package")"
        shift
    done
    wanted=$(apt_private apt-get -q download --print-uris "$@") ||
        die "Debian $SUITE lacks one of these packages: $*"
    echo "$wanted" | sed -n "s/^'.*' \([^ ]*\) [0-9]* SHA256:\([0-9a-f]*\)\$/\2  \1/p" >"$TMP/record"
    [ "$(wc -l <"$TMP/record")" -eq $# ] || die "the package lists give no SHA256 for one of: $*"
    # Fetch only what is not there yet, or is damaged.
    set --
    while read -r sum file; do
        if ! echo "$sum  $file" | (cd "$CACHE/debs" && sha256sum --status -c -) 2>/dev/null; then
            deb_arch=${file##*_}
            set -- "$@" "${file%%_*}:${deb_arch%.deb}"
        fi
    done <"$TMP/record"
    if [ $# -gt 0 ]; then
        mkdir "$TMP/get"
        (cd "$TMP/get" && apt_private apt-get -q download "$@" >&2) || die "cannot download: $*"
        mv "$TMP/get"/*.deb "$CACHE/debs/"
        rmdir "$TMP/get"
    fi
    (cd "$CACHE/debs" && sha256sum --quiet -c "$TMP/record" >&2) || die "a download is damaged: run this again"
    mv "$TMP/record" "$record"
}

# tree_ready NAME SPEC: is the tree there, made from exactly these packages?
tree_ready() {
    [ -r "$CACHE/trees/$1/.made-from" ] && [ "$(cat "$CACHE/trees/$1/.made-from")" = "$2" ]
}

# tree_record NAME: the sha256sum file of what a tree was made from.
tree_record() { echo "$CACHE/debs/$1.$(printf %s "$(cat "$CACHE/trees/$1/.made-from")" | cksum | cut -d' ' -f1).sha256"; }

# tree_again NAME FINISH OTHER: unpacks what the tree OTHER was made from, and so is of its very version.
tree_again() {
    other=$(tree_record "$3")
    again="$2 as $3 $(cksum <"$other")"
    ! tree_ready "$1" "$again" || return 0
    cache_lock
    ! tree_ready "$1" "$again" || return 0
    (cd "$CACHE/debs" && sha256sum --status -c "$other") 2>/dev/null ||
        die "a package of $3 is damaged or gone: remove $CACHE/trees/$3 and run this again"
    tree_unpack "$1" "$2" "$again" "$other"
}

# tree NAME FINISH PACKAGE:ARCH...: unpacks the packages into trees/NAME, unless that is done already.
# FINISH is a function that is called in the new tree, before the tree gets its name.
tree() {
    name=$1 finish=$2
    shift 2
    spec="$finish $*"
    ! tree_ready "$name" "$spec" || return 0
    cache_lock
    ! tree_ready "$name" "$spec" || return 0 # another setup made it meanwhile
    record=$CACHE/debs/$name.$(printf %s "$spec" | cksum | cut -d' ' -f1).sha256
    if ! (cd "$CACHE/debs" && sha256sum --status -c "$record") 2>/dev/null; then
        say "downloading for $name ..."
        debian_fetch "$record" "$@"
    fi
    tree_unpack "$name" "$finish" "$spec" "$record"
}

# tree_unpack NAME FINISH SPEC RECORD
tree_unpack() {
    say "unpacking $1 ..."
    mkdir "$TMP/tree"
    while read -r _ file; do
        dpkg-deb -x "$CACHE/debs/$file" "$TMP/tree" || die "cannot unpack $CACHE/debs/$file: remove it and run this again"
    done <"$4"
    (cd "$TMP/tree" && "$2")
    echo "$3" >"$TMP/tree/.made-from"
    if [ -e "$CACHE/trees/$1" ]; then mv "$CACHE/trees/$1" "$TMP/old.$1"; fi
    mv "$TMP/tree" "$CACHE/trees/$1"
}
