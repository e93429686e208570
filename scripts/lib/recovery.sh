# `scripts/bench recovery`: how long process 1, or a scanner of services, is away when it fails. Sourced, never run.
# shellcheck shell=sh disable=SC2153,SC2154  # bench has set them

ROUNDS=21

# recovery_guest ARCH...: process 1 with fifty services, in QEMU.
recovery_guest() {
    printf '%-10s %12s %12s %12s %14s %14s %8s\n' \
        target 'restart, us' 'back, us' 'slowest, us' 'memory, KiB' 'after 100, KiB' 'fds'
    for arch in "$@"; do
        arch_set "$arch"
        "$ROOT/scripts/rootfs" --bench="$OUT/$ARCH/linchpin" "$ARCH"
        say "$ARCH in QEMU ..."
        boot_bench bench-faults.log bench=faults
        # Each measurement is a line of its own: with one fault behind it, and with a hundred more.
        echo "$(value restart) $(value recovery | tail -n 1) $(value after | tr '\n' ' ') $(value others)" | awk -v arch="$ARCH" '
            NF != 17 { exit 1 }
            # Its service was killed as well: what that takes is no part of being back.
            { printf "%-10s %12.1f %12.1f %12.1f %14d %14d %3d %3d\n", arch, $1 / 1e3, ($3 - $1) / 1e3, $4 / 1e3,
                $9, $15, $10, $16 }' || fail "a measurement is missing"
    done
}

# recovery_host: scanners of more and more services, here.
recovery_host() {
    arch_set "$(host_arch)"
    work=$(mktemp -d -p "$( [ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}" )")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM HUP
    # A scanner that is not process 1 gives up after a few faults; in this build it does not.
    cp "$OUT/$ARCH/linchpin-faults" "$work/linchpin"
    cp "$OUT/$ARCH/pulse" "$work/"
    printf '%-10s %12s %12s %12s %12s %8s\n' services 'floor, us' 'restart, us' 'struck, us' 'back, us' ratio
    for SERVICES in 10 100 1000; do
        scandir
        say "$SERVICES services ..."
        PULSE=$work/fifo "$work/pulse" recover "$SERVICES" $ROUNDS "$work/linchpin" svscan -c "$SERVICES" "$work/scan" \
            >"$work/times" 2>"$work/log" || { tail -n 5 "$work/log" >&2; die "$SERVICES services: the measurement failed"; }
        PULSE=$work/fifo "$work/pulse" floor $ROUNDS >>"$work/times"
        sed -n 's/.* back after a fault: .*, \([0-9]*\) us.*/\1/p' "$work/log" | middle >>"$work/times"
        tr '\n' ' ' <"$work/times" | awk -v services="$SERVICES" '
            NF != 7 { exit 1 }
            { printf "%-10d %12.1f %12.1f %12.1f %12.1f %8.2f\n", services, $5 / 1e3, $1 / 1e3, $3 / 1e3, $7, $7 * 1e3 / $5 }' ||
            die "a measurement is missing"
    done
}
