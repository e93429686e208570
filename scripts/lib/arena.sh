# `scripts/bench arena`: what it costs that the program can be entered again. Sourced, never run.
# shellcheck shell=sh disable=SC2153,SC2154  # bench has set them

# arena_times LABEL LINCHPIN: nanoseconds to start a hundred services, to stop them, and to start them without supervision.
arena_times() {
    "$ROOT/scripts/rootfs" --bench="$2" "$ARCH"
    say "$1 in QEMU ..."
    boot_bench bench-start.log bench=start
    [ "$(value start | awk '{ left += $3 } END { print NR, left }')" = '9 0' ] || fail "services were left"
    echo "$(value start | cut -d' ' -f1 | middle) $(value start | cut -d' ' -f2 | middle) $(value start-floor | cut -d' ' -f1)"
}

# arena_row LABEL TIMES [TIMES]: milliseconds; and what the first are more than the second.
arena_row() {
    echo "$2 ${3:-}" | awk -v label="$1" '
        function percent(with, without) { return sprintf("%+.2f %%", (with / without - 1) * 100) }
        NF >= 3 { printf "%-24s %9.3f %9.3f %9.3f", label, $1 / 1e6, $2 / 1e6, $3 / 1e6 }
        NF == 6 { printf " %10s %10s", percent($1, $4), percent($2, $5) }
        END { print "" }'
}

# bench_arena ARCH...
bench_arena() {
    volatile=$ROOT/target/bench/volatile
    LINCHPIN_OUT=$volatile "$ROOT/scripts/build" "$@" -- --features volatile >&2
    printf '%-24s %9s %9s %9s %10s %10s\n' target 'start, ms' 'stop, ms' 'floor, ms' start stop
    for arch in "$@"; do
        arch_set "$arch"
        here=$(arena_times "$ARCH" "$OUT/$ARCH/linchpin")
        without=$(arena_times "$ARCH, without" "$volatile/$ARCH/linchpin")
        arena_row "$ARCH" "$here" "$without"
        arena_row '  without' "$without"
        [ -z "$against" ] || arena_row "  $against" "$(arena_times "$ARCH, $against" "$other/$ARCH/linchpin")"
    done
}
