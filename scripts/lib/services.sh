# `scripts/bench services`: many services in one scan directory, on this machine. Sourced, never run.
# shellcheck shell=sh

SERVICES=1000
ROUNDS=5

# scandir: makes the scan directory anew. Its services are copies of one program that costs next to nothing to start.
scandir() {
    rm -rf "$work/scan"
    mkdir "$work/scan"
    ( cd "$work/scan" && seq $SERVICES | xargs mkdir )
    for service in "$work/scan"/*; do ln "$work/pulse" "$service/run"; done
}

# services_round NAME COMMAND...: one measurement, into $work/NAME.
services_round() {
    name=$1
    shift
    scandir
    PULSE=$work/fifo "$work/pulse" count $SERVICES "$@" >>"$work/$name.txt" 2>"$work/log" ||
        { tail -n 5 "$work/log" >&2; die "$name: the measurement failed"; }
}

# middle: the median of what comes.
middle() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

# median NAME FIELD
median() { sort -n -k "$2,$2" "$work/$1.txt" | awk -v field="$2" '{ all[NR] = $field } END { print all[int((NR + 1) / 2)] }'; }

bench_services() {
    have s6-svscan || die "s6-svscan is not there to compare with. Try: apt-get install s6"
    arch_set "$(host_arch)"
    scripts/setup "$ARCH"
    scripts/build "$ARCH" >&2
    # A tmpfs, as scan directories are on; /tmp may be a disk.
    work=$(mktemp -d -p "$( [ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}" )")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM HUP
    cp "$OUT/$ARCH/linchpin" "$OUT/$ARCH/pulse" "$work/"
    round=0
    while [ $round -lt $ROUNDS ]; do
        round=$((round + 1))
        say "round $round of $ROUNDS ..."
        services_round floor "$work/pulse" spawn $SERVICES
        services_round linchpin "$work/linchpin" svscan -c $SERVICES "$work/scan"
        services_round s6 "$(command -v s6-svscan)" -c $SERVICES "$work/scan"
    done
    printf '%-10s %10s %8s %8s %8s %6s\n' program 'all up, s' ratio 'best, s' 'stop, s' left
    for name in floor linchpin s6; do
        echo "$name $(median $name 1) $(median floor 1) $(sort -n "$work/$name.txt" | head -n 1) $(median $name 2) $(median $name 3)" |
            awk '{ printf "%-10s %10.3f %8.2f %8.3f %8.3f %6d\n", $1, $2 / 1e9, $2 / $3, $4 / 1e9, $7 / 1e9, $8 }'
    done
}
