# What all scripts share: names of the targets, places, messages. Sourced, never run.
# shellcheck shell=sh disable=SC2034  # the variables are for whoever sources this
set -eu

SELF=$(basename "$0")
ROOT=$(cd "$(dirname "$0")/.." && pwd)
OUT=${LINCHPIN_OUT:-$ROOT/target/out}
CACHE=${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/linchpin
ALL_ARCHES="arm aarch64 x86_64"
DEBIAN=bookworm # the release that everything is from
RELEASE='' # the one that the kernels are from, if it is another

say() { printf '%s: %s\n' "$SELF" "$*" >&2; }
die() { say "error: $*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# help: prints the comment block at the top of the script itself.
help() { sed -n '2,$ { /^#/!q; s/^# \{0,1\}//p; }' "$0"; }

# arch_set NAME: sets what depends on the target. MACHINE is QEMU's command for
# a machine like it, to be split into words.
arch_set() {
    case $1 in
    arm | armv7)
        ARCH=arm TRIPLE=armv7-unknown-linux-gnueabihf
        DEB=armhf MULTIARCH=arm-linux-gnueabihf KERNEL=linux-image-armmp
        # highmem=off: with it, a 32-bit kernel finds no PCI bus.
        MACHINE="qemu-system-arm -M virt,highmem=off -cpu cortex-a7" CONSOLE=ttyAMA0 ;;
    aarch64 | arm64)
        ARCH=aarch64 TRIPLE=aarch64-unknown-linux-gnu
        DEB=arm64 MULTIARCH=aarch64-linux-gnu KERNEL=linux-image-arm64
        MACHINE="qemu-system-aarch64 -M virt -cpu cortex-a53" CONSOLE=ttyAMA0 ;;
    x86_64 | amd64)
        ARCH=x86_64 TRIPLE=x86_64-unknown-linux-gnu
        DEB=amd64 MULTIARCH=x86_64-linux-gnu KERNEL=linux-image-cloud-amd64
        MACHINE="qemu-system-x86_64 -M q35" CONSOLE=ttyS0 ;;
    *) die "unknown target '$1': use one of $ALL_ARCHES" ;;
    esac
    # No network card, and no network boot ROM that would cost a second.
    MACHINE="$MACHINE -m 256 -nic none -no-reboot"
}

# The machine that we run on, by our names: its programs can be run while building.
host_arch() {
    case $(uname -m) in
    x86_64) echo x86_64 ;;
    aarch64) echo aarch64 ;;
    armv7l | armv8l) echo arm ;;
    *) die "no support for building on $(uname -m)" ;;
    esac
}

# release_set NAME
release_set() {
    case $1 in
    '' | *[!a-z]*) die "--release wants the name of a Debian release, such as $DEBIAN" ;;
    "$DEBIAN") RELEASE='' ;;
    *) RELEASE=$1 ;;
    esac
}

# cargo_version_ok: is there a cargo, 1.85 or newer?
cargo_version_ok() {
    version=$(cargo -V 2>/dev/null) || return 1
    minor=${version#cargo 1.}
    [ "$minor" != "$version" ] && [ "${minor%%.*}" -ge 85 ]
}

# host_rustc_has TRIPLE: does the host's own compiler come with this target's core library?
host_rustc_has() {
    cargo_version_ok && libdir=$(rustc --print target-libdir --target "$1" 2>/dev/null) &&
        ls "$libdir"/libcore-*.rlib >/dev/null 2>&1
}

# find_lld: prints a linker for foreign targets: the one in the rustup toolchain, or Debian's.
find_lld() {
    if sysroot=$(rustc --print sysroot 2>/dev/null); then
        set -- "$sysroot"/lib/rustlib/*/bin/rust-lld
        if [ -x "$1" ]; then
            echo "$1"
            return
        fi
    fi
    command -v ld.lld
}

RUST_1_85=$CACHE/trees/rust-1.85 # bin/rustc and bin/clippy-driver in it are ready to run
DAEMONS=$CACHE/trees/daemons # a root with daemons for the tests, for the machine that we run on
tree_root() { echo "$CACHE/trees/root-$1"; }
tree_kernel() { echo "$CACHE/trees/kernel-$1${RELEASE:+-$RELEASE}/kernel"; }
tree_module() { echo "$CACHE/trees/kernel-$1${RELEASE:+-$RELEASE}/veth.ko"; }
# A kernel package's kernel, dtb/ and lib/modules, for images; firmware packages as they are.
tree_files() { echo "$CACHE/trees/files-$1"; }
tree_firmware() { echo "$CACHE/trees/firmware-$1"; }
tree_network() { echo "$CACHE/trees/network-$1"; } # a root with daemons for the check of the network

# File systems are made by commands that an ordinary user's PATH lacks.
PATH=$PATH:/usr/sbin:/sbin
# rustup puts cargo where only login shells look.
if ! have cargo && [ -x "$HOME/.cargo/bin/cargo" ]; then
    PATH=$PATH:$HOME/.cargo/bin
fi
