# `scripts/boot ARCH`: the demo, whose kernel and root QEMU gets directly. Sourced by boot, never run.
# shellcheck shell=sh disable=SC2034,SC2154  # boot has set them

# check PART COMMAND...: runs the machine without a terminal.
check() {
    part=$1
    shift
    log=$OUT/$ARCH/check-$part.log
    say "checking $ARCH ($part) in QEMU ($how), at most $limit s ..."
    finding '' seconds "linchpin for $ARCH, $(wc -c <"$OUT/$ARCH/linchpin") bytes"
    started=$(date +%s)
    # The status goes through a file: a pipeline tells only that of its last command.
    {
        code=0
        timeout --foreground -k 5 "$limit" "$@" </dev/null 2>&1 || code=$?
        echo $code >"$log.status"
    } | tee "$log" | report
    status=$(cat "$log.status")
    rm "$log.status"
    verify "$part" "$status" 'reboot: Power down'
    say "$ARCH ($part): all is well, after $(($(date +%s) - started)) s"
}

# pull_the_plug COMMAND...: runs the machine until it says that this is a good moment, and a little longer. Sets $cut to the
# last time that it has told.
pull_the_plug() {
    log=$OUT/$ARCH/check-plug.log
    say "checking $ARCH (power) in QEMU ($how): to be killed ..."
    "$@" </dev/null >"$log" 2>&1 &
    qemu=$!
    left=$((limit * 10))
    until grep -q 'check: cut' "$log"; do
        left=$((left - 1))
        if [ $left -eq 0 ] || ! kill -0 $qemu 2>/dev/null; then
            kill -9 $qemu 2>/dev/null || :
            fail "the guest did not come so far"
        fi
        sleep 0.1
    done
    random_moment
    kill -9 $qemu
    { wait $qemu || :; } 2>/dev/null
    report <"$log"
    # The last one may have come in half only.
    cut=$(tr -d '\r' <"$log" | sed -n '$!s/.*check: tick \([0-9]*\.[0-9][0-9]\)$/\1/p' | tail -n 1)
    [ -n "$cut" ] || fail "the guest has not told the time"
    finding ok "$cut" "the plug is pulled"
}

# new_disk FILE: an empty one, with a file system.
new_disk() {
    rm -f "$1"
    mke2fs -q -t ext4 -E root_owner=0:0 "$1" 16M >/dev/null || die "cannot make $1"
}

# boot_demo ARCH
boot_demo() {
    arch_set "$1"
    NAME=$ARCH
    : "${limit:=180}"
    host=$(host_arch)
    scripts=$ROOT/scripts
    release=--release=${RELEASE:-$DEBIAN}
    if [ "$check" = yes ]; then "$scripts/setup" --check "$release" "$ARCH"; else "$scripts/setup" "$release" "$ARCH"; fi
    if [ "$host" = "$ARCH" ]; then host=; fi # the host's build makes the image, too
    "$scripts/build" "$ARCH" ${host:+"$host"}

    # panic=-1: a dead process 1 is a reset, and -no-reboot makes that QEMU's end.
    append="quiet panic=-1"
    if [ "$check" = yes ]; then
        "$scripts/rootfs" --check "$release" "$ARCH"
        # An emulator translates a program anew for each address at which it is loaded: with addresses
        # that are not random, starting a dynamically linked daemon takes half the time.
        append="$append norandmaps"
    else
        "$scripts/rootfs" "$ARCH"
    fi

    kernel=$(tree_kernel "$ARCH")
    image=$OUT/$ARCH/rootfs
    how=emulated
    # shellcheck disable=SC2086  # words
    set -- $MACHINE
    if kvm_works "$kernel"; then
        how=KVM
        set -- "$@" -accel kvm -cpu host
    fi
    append="console=$CONSOLE $append"
    # An emulator on a busy machine may be late with the tick that a PC's kernel waits for to see whether the timer works.
    [ "$ARCH" != x86_64 ] || append="no_timer_check $append"
    set -- "$@" -nographic -kernel "$kernel" -initrd

    if [ "$check" = no ]; then
        say "starting QEMU ($how). To leave: poweroff, or Ctrl-A x"
        status=0
        "$@" "$image.cpio" -append "$append" || status=$?
        printf '\033[?7h' # the PC's firmware switches the terminal's line wrap off
        exit $status
    fi
    for part in $parts; do
        case $part in
        machine) check "$part" "$@" "$image-check.cpio" -append "$append" ;;
        recovery) check "$part" "$@" "$image-check.cpio" -append "$append linchpin.board=/etc/linchpin/recovery.toml" ;;
        logs) check "$part" "$@" "$image-check.cpio" -append "$append check=logs" ;;
        power)
            [ "$ARCH" = x86_64 ] || continue
            disk=$OUT/$ARCH/check-power.disk
            new_disk "$disk"
            pull_the_plug "$@" "$image-check.cpio" -append "$append check=power" \
                -drive "file=$disk,format=raw,if=none,id=disk,cache=writethrough" -device nvme,drive=disk,serial=1
            check "$part" "$@" "$image-check.cpio" -append "$append check=power cut=$cut" \
                -drive "file=$disk,format=raw,if=none,id=disk,cache=writethrough" -device nvme,drive=disk,serial=1
            rm "$disk" ;;
        network) check "$part" "$@" "$image-network.cpio" -append "$append linchpin.board=/etc/linchpin/network.toml" ;;
        esac
    done
}
