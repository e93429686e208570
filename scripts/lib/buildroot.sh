# A Buildroot tree and our external tree in it. Sourced by buildroot.
# shellcheck shell=sh disable=SC2154  # tree, name, output and limit are the command line

EXTERNAL=$ROOT/board
BUILDROOT_OUT=$ROOT/target/buildroot

# br ARGUMENT...: Buildroot's make, in an output directory, with our external tree.
br() { nice make --no-print-directory -C "$tree" O="$out" BR2_EXTERNAL="$EXTERNAL" "$@"; }

# tree_is_usable: is it one, and new enough? Versions tell less than what we need from it.
tree_is_usable() {
    tree=$(cd "$tree" 2>/dev/null && pwd) || die "there is no directory $tree"
    version=$(sed -n 's/^export BR2_VERSION := *//p' "$tree/Makefile" 2>/dev/null)
    [ -n "$version" ] || die "$tree is no Buildroot tree: its Makefile sets no BR2_VERSION"
    grep -q 'br2-external.in.init' "$tree/system/Config.in" ||
        die "Buildroot $version takes no init system from an external tree. Use 2026.08 or newer"
    grep -q 'PKG_COMMON_CARGO_ENV' "$tree/package/pkg-cargo.mk" ||
        die "Buildroot $version builds Rust programs in another way. Use 2026.08 or newer"
    say "Buildroot $version in $tree"
}

# defconfigs: their short names.
defconfigs() {
    for file in "$EXTERNAL"/configs/linchpin_*_defconfig; do
        [ -e "$file" ] || die "there are no configurations in $EXTERNAL/configs"
        file=${file##*/linchpin_}
        echo "${file%_defconfig}"
    done
}

# finding VERDICT TEXT: a line of the report.
finding() { printf '%9s  %-4s  %s\n' $(($(date +%s) - began)) "$1" "$2"; }

# check WHAT COMMAND...: runs a check, and shows what it said only if it failed.
check() {
    what=$1
    shift
    began=$(date +%s)
    # Not `if "$@"`: the shell would not stop at its first error then.
    set +e
    (
        set -e
        "$@"
    ) >"$checks/said" 2>&1
    code=$?
    set -e
    if [ $code -eq 0 ]; then
        finding ok "$what"
    else
        finding FAIL "$what"
        tail -n 40 "$checks/said" | sed 's/^/              /'
        failures=$((failures + 1))
    fi
}

check_all() {
    checks=$BUILDROOT_OUT/check failures=0
    rm -rf "$checks"
    mkdir -p "$checks"
    check "Buildroot's own checker finds nothing in board/" checker
    # One directory for all: Buildroot makes its menu programs in each anew.
    out=$checks/out
    for short in $(defconfigs); do
        check "linchpin_${short}_defconfig survives savedefconfig" survives "$short"
    done
    check "show-info knows linchpin" shows_info
    check "linchpin-show-depends tells what it needs" shows_depends
    check "the stub of Buildroot's menus knows no more than the tree" stub_is_true
    [ $failures -eq 0 ] || die "$failures checks failed"
}

# checker: what is in the source tree, and not what an editor left there.
checker() {
    if [ -e "$ROOT/.git" ] && have git; then
        (cd "$ROOT" && git -c safe.directory='*' ls-files --cached --others --exclude-standard board) | sed "s|^|$ROOT/|"
    else
        find "$EXTERNAL" -type f
    fi >"$checks/files"
    [ -s "$checks/files" ]
    # The system's python is the one with the modules.
    (cd "$tree" && xargs /usr/bin/python3 utils/check-package -b) <"$checks/files"
}

survives() {
    br "linchpin_${1}_defconfig"
    br savedefconfig BR2_DEFCONFIG="$out/saved"
    diff -u "$EXTERNAL/configs/linchpin_${1}_defconfig" "$out/saved"
    grep -qx 'BR2_INIT_LINCHPIN=y' "$out/.config"
    grep -qx 'BR2_PACKAGE_PROVIDES_SKELETON="skeleton-init-linchpin"' "$out/.config"
}

shows_info() {
    br -s show-info >"$out/info"
    /usr/bin/python3 - "$out/info" <<'END'
import json, sys
info = json.load(open(sys.argv[1]))
assert {"linchpin", "skeleton-init-linchpin"} <= set(info), sorted(info)
assert "host-rustc" in info["linchpin"]["dependencies"], info["linchpin"]
print(info["linchpin"])
END
}

shows_depends() {
    br -s linchpin-show-depends >"$out/depends"
    cat "$out/depends"
    tr ' ' '\n' <"$out/depends" | grep -qx host-rustc
}

# stub_is_true: each symbol of the stub, with its type, is in the tree.
stub_is_true() {
    /usr/bin/python3 -B "$ROOT/tests/buildroot/kconfig.py" --names "$EXTERNAL" >"$checks/stub"
    find "$tree" -name 'Config*.in*' -not -path "$tree/output/*" -exec cat {} + >"$checks/menus"
    awk '
        FNR == NR {
            if ($1 == "config" || $1 == "menuconfig") name = $2
            else if ($1 == "bool" || $1 == "string" || $1 == "int") { if (!(name in type)) type[name] = $1 }
            next
        }
        type[$1] != $2 { print $1 ": " $2 " in the stub, " (type[$1] == "" ? "nothing" : type[$1]) " in the tree"; bad = 1 }
        END { exit bad }
    ' "$checks/menus" "$checks/stub"
}

# run_tests: the classes that are named, or all. Buildroot's program takes modules that python finds.
run_tests() {
    out=${output:-$BUILDROOT_OUT/tests}
    downloads=${BR2_DL_DIR:-$BUILDROOT_OUT/dl}
    mkdir -p "$out" "$downloads"
    classes=$(cd "$EXTERNAL/testing/linchpin" && sed -n 's/^class \(Test[A-Za-z0-9]*\)(.*/\1/p' test_*.py)
    # shellcheck disable=SC2086  # word lists
    set -- ${name:-$classes}
    for class in "$@"; do
        module=$(cd "$EXTERNAL/testing/linchpin" && grep -l "^class $class(" test_*.py) ||
            die "there is no test $class. There are: $(echo "$classes" | tr '\n' ' ')"
        set -- "$@" "linchpin.${module%.py}.$class"
        shift
    done
    # What it says is about each test; what make and the emulator say is in files.
    PYTHONPATH="$EXTERNAL/testing" PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$tree/support/testing/run-tests" \
        -o "$out" -d "$downloads" --timeout-multiplier "${TIMEOUT_MULTIPLIER:-1}" "$@" ||
        die "tests failed. What was built and said: $out"
}

# defconfig_find: sets `file` and `out` for the configuration that was named.
defconfig_find() {
    case $name in
    *' '*) die "one DEFCONFIG at a time: $name" ;;
    */*)
        [ -f "$name" ] || die "there is no file $name"
        file=$(cd "$(dirname "$name")" && pwd)/$(basename "$name")
        short=$(basename "$name" _defconfig) ;;
    *)
        short=${name#linchpin_}
        short=${short%_defconfig}
        # Boards are called as their folders are, too.
        short=$(echo "$short" | tr - _)
        file=$EXTERNAL/configs/linchpin_${short}_defconfig
        [ -f "$file" ] || die "there is no $file. There are: $(defconfigs | tr '\n' ' ')" ;;
    esac
    out=${output:-$BUILDROOT_OUT/$short}
    mkdir -p "$out" || die "cannot make $out"
    out=$(cd "$out" && pwd)
}

configure() {
    if [ -f "$out/.config" ] && cmp -s "$file" "$out/linchpin-defconfig"; then
        say "configured already: $out/.config"
        return
    fi
    case $file in
    "$EXTERNAL"/configs/*) br "$(basename "$file")" >"$out/configure.log" 2>&1 ;;
    *) br BR2_DEFCONFIG="$file" defconfig >"$out/configure.log" 2>&1 ;;
    esac || {
        tail -n 20 "$out/configure.log"
        die "cannot configure. The whole log: $out/configure.log"
    }
    # Lines that the tree does not know are dropped without a word.
    lost=$(grep -E '^BR2_[A-Za-z0-9_]+=' "$file" | grep -vxFf "$out/.config" || true)
    [ -z "$lost" ] || die "Buildroot $version does not take these lines of $file: $lost"
    cp "$file" "$out/linchpin-defconfig"
}

make_it() {
    say "building in $out; the log is $out/build.log ..."
    began=$(date +%s)
    status=$out/.status
    # What it is at is told: a line for each package and each file system.
    { br "$@" 2>&1 && echo 0 >"$status" || echo 1 >"$status"; } | tee "$out/build.log" |
        sed -nu -e 's/\x1b\[[0-9]*m//g' -e '/^>>> .*\(Building$\|Finalizing\|Generating\|Executing\)/s/^>>> */  /p'
    [ "$(cat "$status")" = 0 ] || {
        tail -n 30 "$out/build.log"
        die "the build failed. The whole log: $out/build.log"
    }
    say "built after $(($(date +%s) - began)) s:"
    (cd "$out/images" && find . -type f -exec wc -c {} +) | sed 's|\./||'
}

boot_it() {
    dialogue="/usr/bin/python3 -B $ROOT/tests/buildroot/login.py --limit=$limit --log=$out/boot.log"
    if [ -x "$out/images/start-qemu.sh" ]; then
        say "booting with $out/images/start-qemu.sh ..."
        # This one has nothing to switch it off with.
        ! grep -qe '-M orangepi-pc' "$out/images/start-qemu.sh" || dialogue="$dialogue --halts"
        $dialogue -- "$out/images/start-qemu.sh"
    elif [ -f "$out/images/rootfs.cpio" ]; then
        boot_archive "$out/images/rootfs.cpio"
    else
        die "nothing to boot: there is no start-qemu.sh and no rootfs.cpio in $out/images (BR2_TARGET_ROOTFS_CPIO)"
    fi || die "see $out/boot.log"
}

# boot_archive FILE: with Debian's kernel for that machine.
boot_archive() {
    if grep -qx BR2_arm=y "$out/.config"; then arch_set arm
    elif grep -qx BR2_aarch64=y "$out/.config"; then arch_set aarch64
    elif grep -qx BR2_x86_64=y "$out/.config"; then arch_set x86_64
    else die "linchpin has no kernel for this architecture to try it with"
    fi
    kernel=$(tree_kernel "$ARCH")
    [ -e "$kernel" ] || "$ROOT/scripts/setup" "$ARCH"
    say "booting $1 with Debian's kernel for $ARCH ..."
    # shellcheck disable=SC2086  # word lists
    $dialogue -- $MACHINE -nographic -kernel "$kernel" -initrd "$1" -append "console=$CONSOLE panic=-1"
}
