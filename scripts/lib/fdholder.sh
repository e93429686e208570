# `scripts/bench fdholder`: a descriptor stored and retrieved, on this machine. Sourced, never run.
# shellcheck shell=sh

. scripts/lib/rounds.sh

ROUNDS=31

# fdholder_start NAME COMMAND...: a store, in the background.
fdholder_start() {
    name=$1
    shift
    "$@" </dev/null >/dev/null 2>"$work/$name.log" &
    stores="$stores $!"
}

# The servers, and nothing else that runs here: by their numbers.
fdholder_stop() {
    for pid in $stores; do kill "$pid" 2>/dev/null || :; done
    stores=''
    wait
    rm -rf "$work"
}

# fdholder_way WAY PAIRS: one line of the table for each store.
fdholder_way() {
    way=$1 pairs=$2
    say "$way, processors $processors ..."
    set -- "$work/floor" - - "$work/scan/fdholder/s" "$work/s6-fdholder-store" "$work/s6-fdholder-retrieve"
    if [ -n "$s6" ]; then
        set -- "$@" "$work/s6" "$(command -v s6-fdholder-store)" "$(command -v s6-fdholder-retrieve)"
    fi
    taskset -c "$processors" "$work/pass" "$way" $ROUNDS "$pairs" "$@" >"$work/$way.txt" 2>"$work/measure.log" ||
        { tail -n 5 "$work"/*.log >&2; die "$way: the measurement failed"; }
    field=0
    for name in floor linchpin $s6; do
        field=$((field + 1))
        rounds_row "$work/$way.txt" $field "$(printf '%-12s %-10s %-10s' "$way" "$processors" "$name")"
    done
}

bench_fdholder() {
    arch_set "$(host_arch)"
    scripts/setup "$ARCH"
    scripts/build "$ARCH" >&2
    work=$(mktemp -d -p "$( [ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}" )")
    stores='' s6=''
    trap fdholder_stop EXIT
    trap 'exit 130' INT TERM HUP
    cp "$OUT/$ARCH/linchpin" "$OUT/$ARCH/pass" "$work/"
    for name in s6-fdholder-store s6-fdholder-retrieve; do ln -s linchpin "$work/$name"; done
    mkdir "$work/scan"
    fdholder_start floor "$work/pass" server "$work/floor"
    fdholder_start linchpin "$work/linchpin" svscan "$work/scan"
    if have s6-fdholder-daemon; then
        s6=s6
        mkdir -p "$work/rules/uid/self/env"
        : >"$work/rules/uid/self/allow"
        for right in STORE_REGEX RETRIEVE_REGEX LIST GETDUMP SETDUMP; do
            echo >"$work/rules/uid/self/env/S6_FDHOLDER_$right"
        done
        fdholder_start s6 s6-fdholder-daemon -i "$work/rules" "$work/s6"
    fi
    printf '%-12s %-10s %-10s %9s %7s %11s\n' way processors store 'best, us' ratio 'best ratio'
    for processors in 0 "0-$(($(nproc) - 1))"; do
        for pid in $stores; do taskset -pc "$processors" "$pid" >/dev/null; done
        fdholder_way programs 60
        fdholder_way connections 600
        fdholder_way requests 2000
    done
}
