# How `scripts/boot` runs a machine that checks itself, what it reports of it, and how it judges that. Sourced, never run.
# shellcheck shell=sh disable=SC2034,SC2154  # boot has set them

# kvm_works KERNEL: /dev/kvm may be there and still run nothing, so a kernel must print its first line within a second. It
# has no root to start, and stops.
kvm_works() {
    if [ "$ARCH" != x86_64 ] || [ "$(host_arch)" != x86_64 ] || [ ! -w /dev/kvm ]; then
        return 1
    fi
    # The braces: the shell, too, would say that QEMU aborted.
    {
        timeout -k 1 1 qemu-system-x86_64 -accel kvm -cpu host -M q35 -m 128 -nic none -nographic -no-reboot \
            -kernel "$1" -append "console=ttyS0 earlyprintk=ttyS0 panic=-1" </dev/null |
            grep -q 'Linux version'
    } 2>/dev/null
}

# finding VERDICT SECONDS TEXT: a line of the report.
finding() { printf '%9s  %-4s  %s\n' "$2" "$1" "$3"; }

# report: shows the guest's lines `check: VERDICT SECONDS TEXT` as they come on standard input.
report() {
    cr=$(printf '\r')
    while IFS= read -r line || [ -n "$line" ]; do
        # Not only at the start of a line: firmware and kernel may have left something there.
        case $line in
        *"check: done"* | *"check: tick"* | *"check: cut"*) ;;
        *"check: "*)
            line=${line#*check: }
            line=${line%"$cr"}
            verdict=${line%% *} line=${line#* }
            case $verdict in
            note) finding '' "${line%% *}" "${line#* }" ;;
            *) finding "$verdict" "${line%% *}" "${line#* }" ;;
            esac ;;
        esac
    done
}

# fail REASON: ends a check with what one needs to understand it.
fail() {
    echo "--- from $log:"
    # After a panic the end of the log is a call trace, which says less than what came before.
    { grep -B 20 -A 1 -m 1 'Kernel panic' "$log" || tail -n 30 "$log"; } | tr -d '\r'
    echo "---"
    die "$NAME: $1. The whole log: $log"
}

# verify PART STATUS LAST: judges how QEMU ended, and the log. LAST is what the kernel says last.
verify() {
    case $2 in
    0) ;;
    124 | 137) fail "did not end within $limit s" ;;
    *) fail "QEMU failed with status $2" ;;
    esac
    ! grep -q 'Kernel panic' "$log" || fail "the kernel panicked: process 1 died, or never started"
    # What follows the guest's own checks is the shutdown.
    sed -n '/check: done/,$p' "$log" >"$log.shutdown"
    [ -s "$log.shutdown" ] || fail "the guest ended before its checks were done"
    case $1 in
    machine)
        in_order 'service httpd stopped' 'logger httpd/log stopped' 'service s6-svscan-log stopped' \
            'unmounting file systems' "$3" ;;
    logs)
        in_order 'last words of a service' 'last words of a finish script' 'last words of a stray' \
            'service s6-svscan-log stopped' 'unmounting file systems' "$3" ;;
    *) in_order 'unmounting file systems' "$3" ;;
    esac ||
        fail "not everything was stopped, in this order: services, their loggers, the catch-all logger (which has the last words of all), file systems, the machine"
    asked=$(sed -n 's/.*poweroff: stopping \([0-9]*\) services.*/\1/p' "$log.shutdown")
    stopped=$(grep -o -E '(service|logger) [^ ]* stopped' "$log.shutdown" | sort -u | wc -l)
    [ "$stopped" -eq "${asked:-0}" ] || fail "of ${asked:-no} services $stopped were stopped"
    finding ok "$(shutdown_time "$3")" \
        "$stopped services stopped, each before its logger; then unmounted; then '${3#reboot: }'"
    failed=$(grep -c 'check: FAIL' "$log") || :
    [ "$failed" -eq 0 ] || die "$NAME: $failed checks failed. The whole log: $log"
    rm "$log.shutdown"
}

# in_order PATTERN...: does the log of the shutdown have these lines, one after the other?
in_order() {
    last=0
    for pattern in "$@"; do
        at=$(grep -n -m 1 "$pattern" "$log.shutdown" | cut -d: -f1)
        [ "${at:-0}" -gt "$last" ] || return 1
        last=$at
    done
}

# shutdown_time PATTERN: the kernel's time stamp of a line.
shutdown_time() { sed -n "/$1/s/.*\[ *\([0-9]*\.[0-9][0-9]\)[0-9]*\].*/\1/p" "$log.shutdown"; }

# random_moment: sleeps for less than a second.
random_moment() { sleep "0.$(date +%N | cut -c1-3)"; }
