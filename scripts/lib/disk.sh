# `scripts/boot BOARD`: a board's image, from a private copy of it, through the board's boot loader. Sourced by boot, never
# run.
# shellcheck shell=sh disable=SC2034,SC2153,SC2154  # boot and lib/board.sh have set them

MIB=1048576

# image_ready BOARD: makes it, unless it is wanted as it is.
image_ready() {
    board_load "$1"
    NAME=$BOARD
    logs=$OUT/images/$BOARD
    image=$logs/$BOARD.img
    [ "$as_is" = yes ] || "$ROOT/scripts/image" "$BOARD" >&2
    [ -r "$image" ] || die "there is no $image. Run: scripts/image $BOARD"
    : "${limit:=400}"
    work=$(mktemp -d)
    trap 'clean_up' EXIT
    trap 'exit 130' INT TERM HUP
    disk=$work/disk
    how=emulated
    ! kvm_works "$BOARD_KERNEL/kernel" || how=KVM
}

# clean_up: an emulator in the background does not hear Ctrl-C.
clean_up() {
    qemu_stop KILL
    rm -rf "$work"
}

# qemu_stop SIGNAL
qemu_stop() {
    [ ! -s "$work/pid" ] || kill "-$1" "$(cat "$work/pid")" 2>/dev/null || :
}

# machine_new: firmware that has no settings yet.
machine_new() {
    [ -z "$QEMU_VARS" ] || cp "$(board_file "$QEMU_VARS")" "$work/vars"
}

# disk_new: a copy of the image.
disk_new() {
    cp --sparse=always "$image" "$disk" || die "cannot copy $image to $disk"
}

# qemu COMMAND...: the machine with the disk, run by COMMAND if there is one. It takes the place of the shell: to be called
# in one of its own.
qemu() {
    {
        board_qemu "$disk" "$work/vars"
        [ "$how" != KVM ] || printf '%s\n' -accel kvm -cpu host
        printf '%s\n' -pidfile "$work/pid"
    } >"$work/words"
    # Places may have blanks in their names.
    IFS='
'
    set -f
    # shellcheck disable=SC2046  # words
    exec "$@" $(cat "$work/words")
}

# console: boots it on the terminal.
console() {
    disk=${keep:-$disk}
    if [ ! -e "$disk" ]; then disk_new; fi
    machine_new
    leave="poweroff, or Ctrl-A x"
    [ "$POWEROFF" = yes ] || leave="poweroff, and then Ctrl-A x, for this machine cannot switch itself off"
    say "starting QEMU ($how). To leave: $leave"
    status=0
    (qemu) || status=$?
    printf '\033[?7h' # the PC's firmware switches the terminal's line wrap off
    exit $status
}

# data_place: where the data partition, which is the last one, begins, and its size, in MiB.
data_place() {
    sfdisk --dump "$image" >"$work/table" 2>/dev/null || die "$image has no partition table"
    place=$(sed -n 's/.*start= *\([0-9]*\), *size= *\([0-9]*\),.*/\1 \2/p' "$work/table" | sort -n | tail -n 1)
    data_start=$((${place% *} / 2048)) data_size=$((${place#* } / 2048))
    [ "$place" = "$((data_start * 2048)) $((data_size * 2048))" ] ||
        die "$image: the last partition is no whole number of MiB: sectors $place"
}

# disk_with_checks: a copy of the image, on whose data partition the checks' files are as well.
disk_with_checks() {
    disk_new
    PARTS=$work/parts
    tree=$PARTS/data.tree/check
    rm -rf "$PARTS"
    mkdir -p "$tree/root/etc"
    cp -R "$ROOT/tests/guest/root/usr" "$tree/root/"
    cp -R "$ROOT/tests/guest/root/etc/lighttpd" "$tree/root/etc/"
    cp "$OUT/$ARCH/knock" "$OUT/$ARCH/outlast" "$tree/root/usr/bin/" || die "programs are missing. Run: scripts/build $ARCH"
    cp "$ROOT/tests/guest/image/"* "$tree/"
    # In the kernel's spelling, without parameters.
    modules_named | while read -r module _; do module_key "${module##*/}"; done | sed 's/\.ko$//' >"$tree/modules"
    part_data
    [ "$(size_of "$PARTS/data.ext4")" -eq $((data_size * MIB)) ] ||
        die "$image: its data partition is of $data_size MiB, and board/$BOARD says $DATA_SIZE. Run: scripts/image $BOARD"
    dd if="$PARTS/data.ext4" of="$disk" bs=$MIB seek="$data_start" conv=notrunc status=none
}

# data_read FILE: the data partition as the guest has left it.
data_read() { dd if="$disk" of="$1" bs=$MIB skip="$data_start" count="$data_size" conv=sparse status=none; }

# start PART: runs the machine in the background. Its console goes to $log; what is written to descriptor 8 is typed there.
start() {
    log=$logs/check-$1.log
    say "checking $BOARD ($1) in QEMU ($how), at most $limit s ..."
    began=$(date +%s)
    rm -f "$log"
    : >"$log"
    rm -f "$work/console" "$work/pid" "$work/status"
    mkfifo "$work/console"
    # Read and write: neither waits for somebody at the other end, nor is killed when he is gone.
    exec 8<>"$work/console"
    {
        code=0
        (qemu timeout --foreground -k 5 "$limit") <"$work/console" 2>&1 8>&- || code=$?
        echo $code >"$work/status.new"
        mv "$work/status.new" "$work/status"
    } 2>/dev/null | tee "$log" | report 8>&- &
    running=$!
}

# wait_for PATTERN: a line of the console. Fails if the machine ends without it.
wait_for() {
    until grep -q "$1" "$log"; do
        # What it said at the very end is in the log when its status is.
        if [ -e "$work/status" ]; then
            grep -q "$1" "$log"
            return
        fi
        sleep 0.1
    done
}

# ended: waits for the end of the machine. Sets $status.
ended() {
    wait "$running" || :
    exec 8>&-
    status=$(cat "$work/status")
    rm -f "$work/pid" # not there any more, unless the plug was pulled
}

# at_prompt LINE: types it when the shell asks for it. How long that took is said.
at_prompt() {
    if ! wait_for '~ # '; then
        ended
        [ "$status" -ne 124 ] || fail "there was no shell on the console within $limit s"
        fail "QEMU ended with status $status before there was a shell on the console"
    fi
    say "$BOARD: a shell after $(($(date +%s) - began)) s"
    printf '%s\n' "$1" >&8
}

# down: waits for the machine to switch itself off. Where it cannot, it is done when it says so.
down() {
    if [ "$POWEROFF" = yes ]; then
        last='reboot: Power down'
    else
        last='reboot: System halted'
        ! wait_for "$last" || qemu_stop TERM
    fi
    ended
}

# check_image PART LINE: boots the disk, types LINE, reports, and judges.
check_image() {
    start "$1"
    at_prompt "$2"
    down
    verify "$1" "$status" "$last"
    disk_is_well
    say "$BOARD ($1): all is well, after $(($(date +%s) - began)) s"
}

# disk_is_well: what the guest has left on the disk.
disk_is_well() {
    # Boot loader, kernel and root: nobody has written there, whatever / is. The data partition comes after them.
    cmp -n $((data_start * MIB)) "$image" "$disk" >"$work/cmp" ||
        fail "what is before the data partition is not what it was: $(cat "$work/cmp")"
    finding ok '' "boot loader, kernel and root on the disk are as they were"
    data_read "$work/data"
    dumpe2fs -h "$work/data" >"$work/dump" 2>&1 || fail "the data partition has no file system any more: $(tail -n 1 "$work/dump")"
    state=$(sed -n 's/^Filesystem state: *//p; s/^Filesystem features:.* \(needs_recovery\).*/\1/p' "$work/dump" | sort | tr '\n' ' ')
    [ "$state" = 'clean ' ] ||
        fail "the data partition was not unmounted: $state"
    e2fsck -fn "$work/data" >"$work/fsck" 2>&1 || fail "the data partition is damaged: $(tail -n 5 "$work/fsck")"
    finding ok '' "the data partition is clean: its journal is empty, e2fsck finds nothing"
    told=$(tr -d '\r' <"$log" | sed -n 's|.*check: ok [0-9.]* /data/survivor: ||p')
    left=$(debugfs -R 'cat /survivor' "$work/data" 2>/dev/null)
    [ "${told:-nothing}" = "$left" ] || fail "/data/survivor was '$told' for the guest, and is '$left' on the disk"
    finding ok '' "/data/survivor is there: $left"
}

# pull_image: boots the disk, and kills QEMU while the guest writes. Sets $counted to the last number that was safe.
pull_image() {
    start plug
    at_prompt "/data/check/run writes"
    wait_for 'check: cut' || { ended; fail "the guest did not come so far"; }
    random_moment
    qemu_stop KILL
    ended
    # The last line may have come in half only.
    counted=$(tr -d '\r' <"$log" | sed -n '$!s/.*check: tick \([0-9]*\)$/\1/p' | tail -n 1)
    [ -n "$counted" ] || fail "the guest has not told what it has written"
    finding ok '' "the plug is pulled after $counted was written"
}

# boot_image BOARD
boot_image() {
    image_ready "$1"
    [ "$check" = yes ] || console
    data_place
    for part in $parts; do
        disk_with_checks
        machine_new
        case $part in
        machine)
            finding '' seconds "$BOARD.img, linchpin for $ARCH, $(size_of "$OUT/$ARCH/linchpin") bytes"
            check_image machine "/data/check/run machine" ;;
        power)
            pull_image
            check_image power "/data/check/run counted $counted" ;;
        esac
    done
}
