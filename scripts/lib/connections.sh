# `scripts/bench connections`: a program for each connection, on this machine. Sourced, never run.
# shellcheck shell=sh

. scripts/lib/rounds.sh

ROUNDS=41
CONNECTIONS=500 # to each server in each round: short turns, so that what else runs here slows all of them
LIMIT=1000 # that a server lets in at once: nobody is to wait for a place

# connections_start COMMAND...: a server, in the background. When it is ready it writes a line, which becomes $said.
connections_start() {
    started=$((started + 1))
    # One for each: the server before may not have closed its end yet.
    mkfifo "$work/ready-$started"
    PATH=$work/links:$PATH "$@" "$work/pass" answer </dev/null >"$work/ready-$started" 2>>"$work/servers.log" &
    servers="$servers $!"
    read -r said <"$work/ready-$started" || { cat "$work/servers.log" >&2; die "$1 did not start"; }
}

# The servers, and nothing else that runs here: by their numbers.
connections_stop() {
    for pid in $servers; do kill "$pid" 2>/dev/null || :; done
    servers=''
    wait
    rm -rf "$work"
}

# connections_way SOCKET AT-ONCE (NAME ADDRESS)...: one line of the table for each server, the floor first.
connections_way() {
    socket=$1 at_once=$2 names='' addresses=''
    shift 2
    while [ $# -gt 0 ]; do
        names="$names $1" addresses="$addresses $2"
        shift 2
    done
    say "$socket, processors $processors, $at_once at once ..."
    # shellcheck disable=SC2086  # words
    taskset -c "$processors" "$work/connections" measure $ROUNDS $CONNECTIONS "$at_once" $addresses \
        >"$work/way.txt" 2>"$work/measure.log" ||
        { tail -n 5 "$work"/*.log >&2; die "$socket: the measurement failed"; }
    field=0
    for name in $names; do
        field=$((field + 1))
        rounds_row "$work/way.txt" $field "$(printf '%-6s %-10s %7d %-10s' "$socket" "$processors" "$at_once" "$name")"
    done
}

# connections_cc: compiles the floor and what measures, statically where there is a C library for that.
connections_cc() {
    have cc || die "there is no cc to compile the floor with. Try: apt-get install gcc libc6-dev"
    cc -O2 -static -o "$work/connections" tests/bench/connections.c 2>"$work/cc.log" ||
        { say "there is no static C library: the floor is a dynamic program"
          cc -O2 -o "$work/connections" tests/bench/connections.c || die "the floor cannot be compiled (see above)"; }
}

bench_connections() {
    arch_set "$(host_arch)"
    scripts/setup "$ARCH"
    scripts/build "$ARCH" >&2
    # Memory, and a path that is short enough for a socket.
    work=$(mktemp -d -p "$( [ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}" )")
    servers='' started=0
    trap connections_stop EXIT
    trap 'exit 130' INT TERM HUP
    mkdir "$work/links"
    cp "$OUT/$ARCH/linchpin" "$OUT/$ARCH/pass" "$work/"
    "$work/linchpin" --install "$work/links" "$work/linchpin"
    connections_cc

    connections_start s6-ipcserver-socketbinder -B "$work/floor" "$work/connections" floor
    connections_start s6-ipcserver -1 -c $LIMIT -C $LIMIT "$work/linchpin-unix"
    set -- floor "$work/floor" linchpin "$work/linchpin-unix"
    if theirs=$(command -v s6-ipcserver); then
        connections_start "$theirs" -1 -c $LIMIT -C $LIMIT "$work/s6"
        set -- "$@" s6 "$work/s6"
    fi
    connections_start s6-tcpserver-socketbinder -B 127.0.0.1 0 "$work/connections" floor
    floor=$said
    connections_start s6-tcpserver -1 -c $LIMIT -C $LIMIT 127.0.0.1 0
    tcp=$said

    printf '%-6s %-10s %7s %-10s %9s %7s %11s\n' socket processors 'at once' server 'best, us' ratio 'best ratio'
    for processors in 0 "0-$(($(nproc) - 1))"; do
        for pid in $servers; do taskset -pc "$processors" "$pid" >/dev/null; done
        for at_once in 1 50; do
            connections_way unix "$at_once" "$@"
            connections_way tcp "$at_once" floor "$floor" linchpin "$tcp"
        done
    done
}
