# What the kernel tells about disks: what they are, and what they are used for. Sourced by flash.
# Everything is read below $SYSTEM, which is empty. Tests set LINCHPIN_FLASH_SYSTEM to a directory with files as in /sys and
# /proc, in whose /dev plain files take the place of devices.
# Functions with variables of their own have round brackets: they run in a shell of their own.
# shellcheck shell=sh

SYSTEM=${LINCHPIN_FLASH_SYSTEM:-}
BLOCKS=$SYSTEM/sys/class/block
# A disk with one of these on it is the machine's own.
SYSTEM_PLACES="/ /boot /boot/efi /boot/firmware /usr /home /var"

# attribute FILE: its first line without the spaces around it, or nothing.
attribute() (
    value=
    if [ -r "$1" ]; then IFS='	 ' read -r value <"$1" 2>/dev/null || :; fi
    printf '%s\n' "$value"
)

# device_name PATH: prints the kernel's name of the device that PATH is, through links. Fails if it is none.
device_name() (
    node=$(readlink -f -- "$1") || return 1
    if [ -n "$SYSTEM" ]; then
        name=${node#"$(readlink -f -- "$SYSTEM")"/dev/}
        [ "$name" != "$node" ] || return 1
    else
        [ -b "$node" ] || return 1
        numbers=$(stat -c '%t %T' -- "$node")
        name=$(number_name "$((0x${numbers% *})):$((0x${numbers#* }))") || return 1
    fi
    [ -e "$BLOCKS/$name" ] || return 1
    printf '%s\n' "$name"
)

# number_name MAJOR:MINOR: the same for a device's numbers.
number_name() (
    [ -e "$SYSTEM/sys/dev/block/$1" ] || return 1
    place=$(readlink -f -- "$SYSTEM/sys/dev/block/$1") && printf '%s\n' "${place##*/}"
)

# disk_of NAME: the whole disk that a partition is of; NAME itself if it is no partition.
disk_of() (
    if [ -e "$BLOCKS/$1/partition" ]; then
        place=$(readlink -f -- "$BLOCKS/$1")
        place=${place%/*}
        printf '%s\n' "${place##*/}"
    else
        printf '%s\n' "$1"
    fi
)

partitions_of() {
    for file in "$BLOCKS/$1/"*/partition; do
        [ ! -e "$file" ] || basename "${file%/partition}"
    done
}

device_bytes() {
    sectors=$(attribute "$BLOCKS/$1/size")
    echo $((${sectors:-0} * 512))
}

# device_bus NAME: how it is attached, in a word.
device_bus() {
    case $(readlink -f -- "$BLOCKS/$1") in
    */usb[0-9]*) echo USB ;;
    */mmc_host/*)
        case $(attribute "$BLOCKS/$1/device/type") in
        SD) echo 'SD card' ;;
        *) echo MMC ;;
        esac ;;
    */nvme/*) echo NVMe ;;
    */ata[0-9]*) echo ATA ;;
    */virtio[0-9]*) echo virtio ;;
    */devices/virtual/*) echo virtual ;;
    *) echo other ;;
    esac
}

# is_removable NAME: is it made to be taken out, or at least attached from outside? Cards in a reader of the machine's own may say
# that they are not.
is_removable() {
    [ "$(attribute "$BLOCKS/$1/removable")" = 1 ] || case $(device_bus "$1") in
    USB | 'SD card' | MMC) ;;
    *) return 1 ;;
    esac
}

device_model() {
    if [ -e "$BLOCKS/$1/device/name" ] && [ ! -e "$BLOCKS/$1/device/model" ]; then
        attribute "$BLOCKS/$1/device/name" # SD cards
    else
        printf '%s %s\n' "$(attribute "$BLOCKS/$1/device/vendor")" "$(attribute "$BLOCKS/$1/device/model")" |
            sed 's/^ *//; s/ *$//; s/^0x[0-9a-f]*//; s/^ *//'
    fi
}

# device_serial NAME: of the device, or of what it is plugged in with.
device_serial() (
    for place in "$BLOCKS/$1/serial" "$BLOCKS/$1/device/serial"; do
        if [ -e "$place" ]; then
            attribute "$place"
            return
        fi
    done
    place=$(readlink -f -- "$BLOCKS/$1")
    while [ "${place##*/usb[0-9]}" != "$place" ]; do
        if [ -e "$place/serial" ]; then
            attribute "$place/serial"
            return
        fi
        place=${place%/*}
    done
)

# device_holds NAME: type and label of the file system that is directly on it.
device_holds() (
    node=$SYSTEM/dev/$1
    if [ ! -r "$node" ]; then
        echo 'unknown (it cannot be read)'
        return
    fi
    blkid -p -o export -s TYPE -s LABEL -s PTTYPE -- "$node" 2>/dev/null | awk -F= '
        { value = $0; sub(/^[^=]*=/, "", value); gsub(/\\/, "", value) }
        $1 == "TYPE" { type = value }
        $1 == "LABEL" { label = value }
        $1 == "PTTYPE" { table = value }
        END {
            if (type == "" && table != "") type = "a partition table (" table ")"
            print type (label == "" ? "" : " \"" label "\"")
        }'
)

# read_mounts FILE: all mounts, the last one first, as lines NUMBERS POINT TYPE SOURCE OPTIONS.
read_mounts() {
    awk '{
        for (i = 7; i <= NF && $i != "-"; i++);
        line[NR] = $3 " " $5 " " $(i + 1) " " $(i + 2) " " $(i + 3)
    } END { for (i = NR; i > 0; i--) print line[i] }' "$SYSTEM/proc/self/mountinfo" >"$1"
}

# mount_names MOUNTS: lines NAME POINT for what is mounted from block devices.
mount_names() (
    while read -r numbers point _ source _; do
        # Some file systems (btrfs) have numbers of their own.
        name=$(number_name "$numbers") || name=$(source_name "$source") || continue
        printf '%s %s\n' "$name" "$point"
    done <"$1"
)

source_name() {
    case $1 in
    /dev/*) device_name "$SYSTEM$1" ;;
    *) return 1 ;;
    esac
}

# swap_names: lines NAME or PATH for each swap.
swap_names() {
    [ -r "$SYSTEM/proc/swaps" ] || return 0
    sed '1d; s/[[:space:]].*//' "$SYSTEM/proc/swaps" | while read -r file; do
        source_name "$file" || printf '%s\n' "$file"
    done
}

# unescape: mountinfo writes a space as \040.
unescape() { printf '%b\n' "$(printf '%s\n' "$1" | sed 's/\\\([0-7][0-7][0-7]\)/\\0\1/g')"; }

# stack_name NAME: with the name that people know it by.
stack_name() (
    known=$(attribute "$BLOCKS/$1/dm/name")
    printf '%s\n' "$1${known:+ ($known)}"
)

# uses NAME MOUNTED SWAPS: what this very device is used for, a line for each use. MOUNTED has the lines of mount_names, SWAPS those
# of swap_names.
uses() (
    while read -r name point; do
        [ "$name" != "$1" ] || echo "$1 is mounted on $(unescape "$point")"
    done <"$2"
    ! grep -qxF -- "$1" "$3" || echo "$1 is used as swap"
    for holder in "$BLOCKS/$1/holders/"*; do
        [ -e "$holder" ] || continue
        holder=${holder##*/}
        # What is above it tells more, if there is something.
        above=$(uses "$holder" "$2" "$3" | head -n 1)
        echo "$1 is a part of $(stack_name "$holder")${above:+, and $above}"
    done
    for member in "$SYSTEM"/sys/fs/btrfs/*/devices/"$1"; do
        [ ! -e "$member" ] || grep -q "^$1 " "$2" || echo "$1 is a part of a btrfs that is mounted"
    done
    loop_of "$SYSTEM/dev/$1" | while read -r loop; do echo "$1 is what $loop is made of"; done
)

# loop_of FILE: the loops that it is the file of.
loop_of() (
    real=$(readlink -f -- "$1") || return 0
    for backing in "$SYSTEM"/sys/block/loop*/loop/backing_file; do
        [ -e "$backing" ] || continue
        backed=$(readlink -f -- "$SYSTEM$(cat "$backing")" || :)
        if [ "$backed" = "$real" ] || [ "$(cat "$backing")" = "$real" ]; then
            loop=${backing%/loop/backing_file}
            echo "${loop##*/}"
        fi
    done
)

# below NAME MOUNTS [DEPTH]: prints NAME and all that it lies on: disks of partitions, members of LVM, md and dm-crypt, and what has
# the file of a loop.
below() (
    # Deeper than anything that has been built.
    [ "${3:-0}" -lt 16 ] || return 0
    printf '%s\n' "$1"
    {
        [ ! -e "$BLOCKS/$1/partition" ] || disk_of "$1"
        for member in "$BLOCKS/$1/slaves/"*; do
            [ ! -e "$member" ] || printf '%s\n' "${member##*/}"
        done
        if [ -e "$BLOCKS/$1/loop/backing_file" ]; then
            path_name "$(cat "$BLOCKS/$1/loop/backing_file")" "$2"
        fi
    } | while read -r member; do below "$member" "$2" $((${3:-0} + 1)); done
)

# path_name PATH MOUNTS [DEPTH]: the devices that the file system of PATH is on, which may be several under an overlay.
path_name() (
    [ "${3:-0}" -lt 16 ] || return 0
    case $1 in
    /dev/*)
        if name=$(source_name "$1"); then
            printf '%s\n' "$name"
            return
        fi ;;
    esac
    # The longest mount point that leads to it; of those that are the same, the last that was mounted.
    awk -v path="$1/" '{
        point = $2 == "/" ? "/" : $2 "/"
        if (index(path, point) == 1 && length(point) > length(best)) { best = point; line = $0 }
    } END { if (line != "") print line }' "$2" | mount_disks "$2" "${3:-0}"
)

# mount_disks MOUNTS DEPTH: the devices that the mounts on standard input, lines as those of read_mounts, are from.
mount_disks() {
    while read -r numbers _ type source options; do
        if name=$(number_name "$numbers") || name=$(source_name "$source"); then
            printf '%s\n' "$name"
        elif [ "$type" = overlay ]; then
            echo "$options" | tr ',' '\n' | sed -n 's/^lowerdir=//p; s/^upperdir=//p' | tr ':' '\n' |
                while read -r layer; do path_name "$layer" "$1" $(($2 + 1)); done
        fi
    done
}

# system_names MOUNTS SWAPS: all devices, of any kind, that this machine's own system lives on.
system_names() (
    {
        awk -v places=" $SYSTEM_PLACES " 'index(places, " " $2 " ")' "$1" | mount_disks "$1" 0
        while read -r swap; do
            case $swap in
            /*) path_name "$swap" "$1" ;;
            *) printf '%s\n' "$swap" ;;
            esac
        done <"$2"
    } | LC_ALL=C sort -u | while read -r name; do below "$name" "$1"; done | LC_ALL=C sort -u
)

# read_uses DIRECTORY: puts what is known about this machine there, for device_uses and is_system.
read_uses() {
    read_mounts "$1/mounts"
    mount_names "$1/mounts" >"$1/mounted"
    swap_names >"$1/swaps"
    system_names "$1/mounts" "$1/swaps" >"$1/system"
}

# device_uses NAME DIRECTORY: what it and its partitions are used for, a line for each use.
device_uses() (
    for part in "$1" $(partitions_of "$1"); do
        uses "$part" "$2/mounted" "$2/swaps"
    done
)

# is_system NAME DIRECTORY: does this machine's own system live on it, on its disk, or on what it is made of?
is_system() (
    {
        printf '%s\n' "$1"
        disk_of "$1"
        for member in "$BLOCKS/$1/slaves/"*; do
            [ ! -e "$member" ] || below "${member##*/}" "$2/mounts"
        done
    } | grep -qxF -f "$2/system"
)
