# Reads a block map, checks an image against it, writes it and reads it back. Sourced by flash.
# shellcheck shell=sh disable=SC2034,SC2154  # variables that flash sets, or uses

# A list of ranges has lines OFFSET LENGTH SHA256, in bytes and in order; nothing outside of them is written.
PIECE=$((16 << 20)) # of an image without a block map: what is checked at a time
STEP=$((4 << 20)) # what is written before it must have arrived: otherwise progress would be that of this machine's memory
ZEROS=0000000000000000000000000000000000000000000000000000000000000000

megabytes() { echo "$((($1 + 50000) / 1000000)).$((($1 + 50000) / 100000 % 10))"; }

# centiseconds: sets $now. No program is started for it.
centiseconds() {
    read -r now _ </proc/uptime
    now=${now%.*}${now#*.}
}

# progress_begin VERB TOTAL
progress_begin() {
    verb=$1 total=$2
    centiseconds
    began=$now told=$now
}

# progress BYTES: for a terminal at once, as a line of its own not more often than every ten seconds.
progress() {
    centiseconds
    if [ -t 2 ]; then
        printf '\r%s: %s\033[K' "$SELF" "$(progress_text "$1")" >&2
    elif [ $((now - told)) -ge 1000 ]; then
        told=$now
        say "$(progress_text "$1")"
    fi
}

# progress_told: a subshell has told it, if it was time.
progress_told() {
    centiseconds
    [ $((now - told)) -lt 1000 ] || told=$now
}

progress_text() {
    passed=$((now - began))
    [ $passed -gt 0 ] || passed=1
    speed=$(($1 * 100 / passed))
    text="$verb $(megabytes "$1")"
    if [ "$total" -gt 0 ]; then text="$text of $(megabytes "$total") MB, $(($1 * 100 / total)) %"; else text="$text MB"; fi
    text="$text, $(megabytes $speed) MB/s"
    if [ "$total" -gt "$1" ] && [ $speed -gt 0 ]; then
        left=$(((total - $1) / speed + 1))
        text="$text, $((left / 60)):$((left / 10 % 6))$((left % 10)) left"
    fi
    echo "$text"
}

# progress_end BYTES VERB: the last line, which stays.
progress_end() {
    centiseconds
    verb=$2 total=0
    ! [ -t 2 ] || printf '\r\033[K' >&2
    say "$(progress_text "$1")"
}

# dd_said: the bytes that the last dd has copied, and its complaint, as $copied and $reason.
dd_said() {
    copied=$(sed -n 's/^\([0-9][0-9]*\) bytes.*/\1/p' "$tmp/dd")
    reason=$(sed -n 's/^[^ ]*dd: //p' "$tmp/dd" | head -n 1)
    copied=${copied:-0}
    [ "${1:-0}" -le 128 ] || reason="dd was ended by the signal $(kill -l "$1" 2>/dev/null || echo "$1")"
}

# --- the block map

# bmap_read FILE: checks it, makes $tmp/expected with a list of ranges (- where the map has no checksum), and sets $image_bytes and
# $mapped_bytes.
bmap_read() {
    # One line for each element: NAME, attributes, text. Numbers stay text: not every awk can count so far.
    awk 'BEGIN { RS = "<" }
        /^!--/ { comment = 1 }
        comment { if (/-->/) comment = 0; next }
        /^[A-Za-z]/ {
            end = index($0, ">")
            tag = substr($0, 1, end - 1)
            text = substr($0, end + 1)
            gsub(/[ \t\r\n]+/, "", text)
            gsub(/[ \t\r\n]+/, " ", tag)
            name = tag
            sub(/ .*/, "", name)
            gsub(/"/, "\047", tag)
            value = "-"
            if (match(tag, /(version|chksum)=\047[^\047]+\047/)) {
                value = substr(tag, RSTART, RLENGTH - 1)
                sub(/.*\047/, "", value)
            }
            print name, value, text
        }' "$1" >"$tmp/bmap"
    version=$(bmap_value bmap 2)
    case $version in
    2.*) ;;
    '') bad_image "$1 is not a block map. Make it anew, or leave it out with --no-bmap" ;;
    *) bad_image "$1 has version $version, and this reads 2.0. Make it anew with bmaptool 3 or later, or leave it out with --no-bmap" ;;
    esac
    type=$(bmap_value ChecksumType 3)
    [ "$type" = sha256 ] || bad_image "$1 has checksums of the kind '$type', and this knows sha256. Make it anew, or leave it out with --no-bmap"
    sum=$(bmap_value BmapFileChecksum 3)
    is_sha256 "$sum" || bad_image "$1 has no checksum of itself. Make it anew, or leave it out with --no-bmap"
    found=$(sed "s/$sum/$ZEROS/" "$1" | sha256sum)
    [ "${found%% *}" = "$sum" ] || bad_image "$1 is damaged: its own checksum is another one. Fetch or make it again"
    image_bytes=$(bmap_number "$1" ImageSize) || exit 2
    block=$(bmap_number "$1" BlockSize) || exit 2
    blocks=$(bmap_number "$1" BlocksCount) || exit 2
    mapped=$(bmap_number "$1" MappedBlocksCount) || exit 2
    if [ "$block" -lt 512 ] || [ $((block % 512)) -ne 0 ] || [ $(((image_bytes + block - 1) / block)) -ne "$blocks" ]; then
        bad_image "$1 contradicts itself: $blocks blocks of $block bytes are no image of $image_bytes bytes"
    fi
    [ $((block % 4096)) -eq 0 ] || direct=''
    bmap_ranges "$1"
}

# bmap_value ELEMENT FIELD: a field of the first element of that name.
bmap_value() { awk -v name="$1" -v field="$2" '$1 == name { print $field; exit }' "$tmp/bmap"; }

is_sha256() {
    [ ${#1} -eq 64 ] || return 1
    case $1 in *[!0-9a-f]*) return 1 ;; esac
}

# bmap_number FILE ELEMENT
bmap_number() {
    number=$(bmap_value "$2" 3)
    is_number "$number" || bad_image "$1 is damaged: $2 is '$number' and should be a number. Fetch or make it again"
    echo "$number"
}

# Longer ones are larger than any disk.
is_number() {
    case $1 in
    '' | *[!0-9]* | 0?* | ????????????????*) return 1 ;;
    esac
}

bmap_ranges() {
    : >"$tmp/expected"
    next=0 count=0
    while read -r element sum text; do
        [ "$element" = Range ] || continue
        first=${text%%-*} last=${text#*-}
        if ! is_number "$first" || ! is_number "$last" || [ "$first" -lt $next ] || [ "$last" -lt "$first" ] ||
            [ "$last" -ge "$blocks" ]; then
            bad_image "$1 is damaged: it has a range '$text' of $blocks blocks. Fetch or make it again"
        fi
        [ "$sum" = - ] || is_sha256 "$sum" || bad_image "$1 is damaged: a range has the checksum '$sum'. Fetch or make it again"
        next=$((last + 1)) count=$((count + last + 1 - first))
        end=$((next * block))
        [ $end -le "$image_bytes" ] || end=$image_bytes # the last block may be a part of one
        echo "$((first * block)) $((end - first * block)) $sum" >>"$tmp/expected"
    done <"$tmp/bmap"
    [ $count -eq "$mapped" ] || bad_image "$1 contradicts itself: it tells of $mapped mapped blocks, and its ranges have $count"
    mapped_bytes=0
    while read -r _ length _; do mapped_bytes=$((mapped_bytes + length)); done <"$tmp/expected"
}

# --- the image

# image_kind FILE: how it is packed: gzip, xz, zstd or nothing. By its first bytes: names lie.
image_kind() {
    case $(od -An -tx1 -N6 -- "$1" | tr -d ' \n') in
    1f8b*) echo gzip ;;
    fd377a585a00) echo xz ;;
    28b52ffd*) echo zstd ;;
    *)
        case $1 in
        *.gz | *.xz | *.zst) return 1 ;;
        esac
        echo plain ;;
    esac
}

# image_open: the unpacked image, from its beginning, as descriptor 3.
image_open() {
    if [ "$kind" = plain ]; then
        exec 3<"$image"
        return
    fi
    rm -f "$tmp/unpacked"
    mkfifo "$tmp/unpacked"
    "$kind" -dc <"$image" >"$tmp/unpacked" 2>"$tmp/unpack" &
    unpacker=$!
    exec 3<"$tmp/unpacked"
}

# image_close: fails if it could not be unpacked to its end, which must have been read.
image_close() {
    exec 3<&-
    [ "$kind" = plain ] || wait "$unpacker"
}

# image_rest: the rest of it goes unread; sets $copied to how much that was.
image_rest() {
    dd bs=1M of=/dev/null <&3 2>"$tmp/dd" || :
    dd_said
}

# take SKIP LENGTH: prints so much of the image. What dd says is left in $tmp/dd.
take() {
    dd bs=1M iflag=fullblock,skip_bytes,count_bytes skip="$1" count="$2" <&3 2>"$tmp/dd"
}

# take_all SKIP LENGTH DONE: the same, telling how far it is. Stops at the end of the image; how much it was is in $tmp/length.
take_all() {
    skip=$1 left=$2 at=$3 got=0
    while [ "$left" -gt 0 ]; do
        want=$left
        [ "$want" -le $PIECE ] || want=$PIECE
        take "$skip" "$want" || { dd_said; echo "$reason" >"$tmp/failed"; break; }
        dd_said
        got=$((got + copied)) left=$((left - copied)) skip=0
        progress $((at + got))
        [ "$copied" -eq "$want" ] || break
    done
    echo $got >"$tmp/length"
}

# image_check: reads all that is to be written, before anything is: against the block map, if there is one. Makes $tmp/ranges, sets
# $image_bytes and $mapped_bytes.
image_check() {
    rm -f "$tmp/failed"
    : >"$tmp/ranges"
    progress_begin checking "${mapped_bytes:-0}"
    image_open
    if [ -n "$bmap" ]; then check_ranges; else check_whole; fi
    image_close || bad_image "$image cannot be unpacked: $(head -n 1 "$tmp/unpack"). Fetch it again"
    progress_end "$mapped_bytes" checked
}

check_ranges() {
    position=0 done=0
    while read -r offset length expected; do
        sum=$(take_all $((offset - position)) "$length" $done | sha256sum)
        sum=${sum%% *}
        [ ! -e "$tmp/failed" ] || bad_image "$image cannot be read: $(cat "$tmp/failed")"
        read -r got <"$tmp/length"
        [ "$got" -eq "$length" ] || bad_size $((offset + got))
        if [ "$expected" != - ] && [ "$expected" != "$sum" ]; then
            bad_image "$image is damaged: bytes $offset to $((offset + length - 1)) have another checksum than $bmap tells. Fetch it again, and the block map that belongs to it"
        fi
        echo "$offset $length $sum" >>"$tmp/ranges"
        position=$((offset + length)) done=$((done + length))
        progress_told
    done <"$tmp/expected"
    image_rest
    position=$((position + copied))
    [ $position -eq "$image_bytes" ] || bad_size $position
}

bad_size() {
    # What cannot be unpacked may just have ended.
    image_rest
    image_close || bad_image "$image cannot be unpacked: $(head -n 1 "$tmp/unpack"). Fetch it again"
    bad_image "$image has $1 bytes, and $bmap is the block map of an image of $image_bytes. Fetch the one that belongs to it, or leave it out with --no-bmap"
}

check_whole() {
    position=0
    while :; do
        sum=$(take_all 0 $PIECE $position | sha256sum)
        [ ! -e "$tmp/failed" ] || bad_image "$image cannot be read: $(cat "$tmp/failed")"
        read -r length <"$tmp/length"
        [ "$length" -gt 0 ] || break
        echo "$position $length ${sum%% *}" >>"$tmp/ranges"
        position=$((position + length))
        progress_told
    done
    image_bytes=$position mapped_bytes=$position
}

# --- the device

# target_write: all ranges, to descriptor 4, which is at the beginning. Image and device go forward in the same steps.
target_write() {
    progress_begin writing "$mapped_bytes"
    image_open
    position=0 written=0 waiting=0
    while read -r offset length _; do
        gap=$((offset - position)) left=$length
        while [ "$left" -gt 0 ]; do
            want=$left sync=''
            [ "$want" -le $STEP ] || want=$STEP
            waiting=$((waiting + want))
            if [ $waiting -ge $STEP ] || [ $((written + want)) -eq "$mapped_bytes" ]; then sync=,fsync waiting=0; fi
            code=0
            dd bs=1M iflag=fullblock,skip_bytes,count_bytes oflag=seek_bytes conv=notrunc$sync \
                skip=$gap seek=$gap count="$want" <&3 >&4 2>"$tmp/dd" || code=$?
            { read -r _ && read -r _ && read -r copied _; } <"$tmp/dd" || copied=0
            if [ $code -ne 0 ] || [ "$copied" != "$want" ]; then write_failed $code $((position + gap)); fi
            position=$((position + gap + want)) written=$((written + want)) left=$((left - want)) gap=0
            progress $written
        done
    done <"$tmp/ranges"
    exec 3<&- # an unpacker may have more to say than anybody wants to write
    progress_end $written written
}

# write_failed CODE POSITION: says where and why.
write_failed() {
    dd_said "$1"
    at=$(($2 + copied))
    case $reason in
    '' | *"reading 'standard input'"*) reason="the image cannot be read any more${reason:+ (${reason##*: })}" ;;
    *fsync*) at="$at or before" reason="what was written did not arrive (${reason##*: })" ;;
    *) reason=${reason##*: } ;;
    esac
    ! [ -t 2 ] || printf '\r\033[K' >&2
    say "error: writing $device failed at byte $at, after $(megabytes $((written + copied))) of $(megabytes "$mapped_bytes") MB: $reason"
    lost
    exit 5
}

lost() {
    if [ "$create" = yes ]; then
        rm -f -- "$target"
        say "$device is removed again"
        return
    fi
    say "what was on $device before is lost, and the image is not complete there: it is not to be used before it is written again"
}

# target_read OFFSET LENGTH DONE: prints so much of it, from the device and not from memory.
target_read() {
    at=$1 left=$2
    while [ "$left" -gt 0 ]; do
        want=$left
        [ "$want" -le $PIECE ] || want=$PIECE
        # What goes around the cache has to be read in whole sectors.
        dd if=/dev/fd/4 bs=1M iflag=skip_bytes,count_bytes"$direct" skip="$at" count=$(((want + 4095) / 4096 * 4096)) 2>"$tmp/dd" |
            head -c "$want"
        at=$((at + want)) left=$((left - want))
        progress $((at - $1 + $3))
    done
}

# target_forget: what is read next comes from the device.
target_forget() {
    if [ -b "$target" ]; then
        blockdev --flushbufs "$target" 2>/dev/null || :
    else
        dd if=/dev/fd/4 iflag=nocache count=0 2>/dev/null || :
    fi
}

# target_verify: reads back all ranges.
target_verify() {
    target_forget
    progress_begin "reading back" "$mapped_bytes"
    done=0
    while read -r offset length expected; do
        sum=$(target_read "$offset" "$length" $done | sha256sum)
        [ "${sum%% *}" = "$expected" ] || verify_failed
        done=$((done + length))
        progress_told
    done <"$tmp/ranges"
    progress_end $done "read back, and the same:"
}

verify_failed() {
    ! [ -t 2 ] || printf '\r\033[K' >&2
    dd_said
    case $reason in
    '' | *"writing 'standard output'"*) say "error: bytes $offset to $((offset + length - 1)) of $device read back differently from what was written" ;;
    *) say "error: bytes $offset to $((offset + length - 1)) of $device cannot be read back: ${reason##*: }" ;;
    esac
    say "it may be worn out, or smaller than it tells, or badly connected: try another one, and another reader"
    lost
    exit 6
}
