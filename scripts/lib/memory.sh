# `scripts/bench memory`: what one more idle service costs. Sourced, never run.
# shellcheck shell=sh

# memory_states MODE: KiB before and after 490 services more, two lines: process 1's own, free, files in memory,
# slabs, kernel stacks, page tables.
memory_states() {
    # shellcheck disable=SC2153  # arch_set sets it
    say "$ARCH, $1: in QEMU ..."
    boot_bench "bench-$1.log" "bench=$1"
    value few
    value many
}

# bench_memory ARCH...: prints a table.
bench_memory() {
    printf '%-8s %9s %9s %11s   %s\n' target 'PID 1, B' 'all, KiB' 'process, KiB' \
        'of all: files, slabs, stacks, page tables, KiB'
    for arch in "$@"; do
        arch_set "$arch"
        "$ROOT/scripts/rootfs" --bench="$OUT/$ARCH/linchpin" "$ARCH"
        { memory_states tree && memory_states floor; } | awk -v arch="$ARCH" '
            NF != 6 { exit 1 }
            { for (i = 1; i <= 6; i++) at[NR, i] = $i }
            # more(LINE, FIELD): KiB that one of the 490 costs.
            function more(line, field) { return (at[line + 1, field] - at[line, field]) / 490 }
            function beyond(field) { return more(1, field) - more(3, field) }
            END {
                if (NR != 4) exit 1
                printf "%-8s %9.0f %9.1f %11.1f   %.1f %.1f %.1f %.1f\n", arch, more(1, 1) * 1024, -beyond(2), -more(3, 2),
                    beyond(3), beyond(4), beyond(5), beyond(6)
            }' || fail "a measurement is missing"
    done
}
