# `scripts/bench log`: lines into a logdir, on this machine. Sourced, never run.
# shellcheck shell=sh

ROUNDS=11
BYTES=64000000 # to each logger in each round
FEWER=8000000  # if lines come one by one
LARGEST=268435455 # bytes of `current`: no rotation
ERRORS='(error|warning): request [0-9]+ from ([0-9]+\.)+'

log_stop() { rm -rf "$work"; }

# log_measure NAME BYTES PIECE KEPT DIRECTIVE...: into $work/NAME.txt. The floor knows no directives.
log_measure() {
    name=$1 bytes=$2 piece=$3 kept=$4
    shift 4
    say "$name, processors $processors ..."
    if [ -n "$s6" ]; then set -- "$@" ./log -- "$theirs" "$@" ./log; else set -- "$@" ./log; fi
    ( cd "$work" && taskset -c "$processors" ./bench measure $ROUNDS "$bytes" "$piece" "$kept" ./log \
        -- ./bench floor ./log -- "$work/s6-log" "$@" ) >"$work/$name.txt" 2>"$work/measure.log" ||
        { tail -n 5 "$work/measure.log" >&2; die "$name: the measurement failed"; }
}

# What awk is to know: the median of the first n of some numbers.
MEDIAN='
function median(of, n,    i, j, one) {
    for (i = 2; i <= n; i++) {
        one = of[i]
        for (j = i - 1; j > 0 && of[j] > one; j--) of[j + 1] = of[j]
        of[j + 1] = one
    }
    return of[int((n + 1) / 2)]
}'

# log_way NAME BYTES PIECE KEPT DIRECTIVE...: one line of the table for each logger.
log_way() {
    log_measure "$@"
    field=0
    for logger in floor linchpin $s6; do
        field=$((field + 1))
        label=$(printf '%-10s %-10s %-9s' "$1" "$processors" "$logger")
        awk -v field=$field -v last="$loggers" -v label="$label" -v bytes="$2" "$MEDIAN"'
            {
                ratio[NR] = $field / $1
                faster[NR] = $last / $field
                if (NR == 1 || $field < best) best = $field
                own[NR] = $(last + field)
                if ($(2 * last + field) > memory) memory = $(2 * last + field)
            }
            END {
                printf "%s %6.0f %8.0f %6.2f %6.2f %7.0f %11d\n", label, bytes / best * 1e3, bytes / 100 / best * 1e6,
                    median(ratio, NR), median(faster, NR), median(own, NR) / (bytes / 100), memory
            }' "$work/$name.txt"
    done
}

# log_rotation: microseconds of a processor that one costs the logger, from the same lines into archives of the default size and eight times that.
log_rotation() {
    say "rotation, processors $processors ..."
    one='n8 t ./log' other="n1 s$((8 * 99999)) t ./log"
    # shellcheck disable=SC2086  # words
    set -- -- "$work/s6-log" $one -- "$work/s6-log" $other
    # shellcheck disable=SC2086
    [ -z "$s6" ] || set -- "$@" -- "$theirs" $one -- "$theirs" $other
    ( cd "$work" && taskset -c "$processors" ./bench measure $ROUNDS $BYTES 65536 0 ./log "$@" ) \
        >"$work/rotation.txt" 2>"$work/measure.log" ||
        { tail -n 5 "$work/measure.log" >&2; die "rotation: the measurement failed"; }
    # Bytes with stamps; archives are of 98 thousand bytes, and of 8 thousand more at most.
    rotations=$((BYTES * 126 * 7 / 8 / 100 / 102000))
    field=1
    for logger in linchpin $s6; do
        label=$(printf '%-10s %-9s' "$processors" "$logger")
        awk -v field=$field -v last=$((loggers * 2 - 2)) -v rotations=$rotations -v label="$label" "$MEDIAN"'
            {
                cost[NR] = ($(last + field) - $(last + field + 1)) / rotations / 1e3
                share[NR] = 1 - $(last + field + 1) / $(last + field)
            }
            END { printf "%s %9.1f %8.1f\n", label, median(cost, NR), median(share, NR) * 100 }' "$work/rotation.txt"
        field=$((field + 2))
    done
}

bench_log() {
    have cc || die "there is no cc to compile the floor with. Try: apt-get install gcc libc6-dev"
    arch_set "$(host_arch)"
    scripts/setup "$ARCH"
    scripts/build "$ARCH" >&2
    [ -w /dev/shm ] || die "this wants memory for the logdirs: there is no /dev/shm"
    work=$(mktemp -d -p /dev/shm)
    trap log_stop EXIT
    trap 'exit 130' INT TERM HUP
    cp "$OUT/$ARCH/linchpin" "$work/"
    ln -s linchpin "$work/s6-log"
    cc -O2 -static -o "$work/bench" tests/bench/log.c 2>"$work/cc.log" ||
        { say "there is no static C library: the floor is a dynamic program"
          cc -O2 -o "$work/bench" tests/bench/log.c || die "the floor cannot be compiled (see above)"; }
    s6='' loggers=2
    if theirs=$(command -v s6-log); then s6=s6 loggers=3; fi
    all="0-$(($(nproc) - 1))"

    printf '%-10s %-10s %-9s %6s %8s %6s %6s %7s %11s\n' lines processors logger MB/s lines/ms ratio faster 'own, ns' \
        'memory, KiB'
    for processors in 0 "$all"; do
        log_way plain $BYTES 65536 0
        log_way t $BYTES 65536 0 t
        log_way T $BYTES 65536 0 T
        log_way kept $BYTES 65536 1 s$LARGEST t
        log_way selected $BYTES 65536 1 s$LARGEST - "+$ERRORS" t
        log_way one-by-one $FEWER 100 0 t
    done
    printf '\n%-10s %-9s %9s %8s\n' processors logger 'own, us' 'share, %'
    for processors in 0 "$all"; do log_rotation; done
}
