# The block map of a disk image: which blocks have to be written, and what they must hold then. In the form of bmaptool's
# version 2.0. A block is left out only if it is known to be free: between the partitions, in a partition behind the end
# of its squashfs, a free cluster of a FAT, a free block of an ext4. Zeros that mean something are written.
# Sourced, never run.
# shellcheck shell=sh

BMAP_BLOCK=4096

# bmap_number FILE OFFSET BYTES: a little-endian number of 1, 2, 4 or 8 bytes.
bmap_number() { od -An -v -t "u$3" -j "$2" -N "$3" --endian=little "$1" | tr -d ' '; }

# bmap_text FILE OFFSET BYTES
bmap_text() { dd if="$1" bs=1 skip="$2" count="$3" 2>/dev/null | tr -d '\000'; }

# bmap_parts IMAGE: START and SIZE of each partition, in bytes, in the order of their places.
bmap_parts() {
    sfdisk --dump "$1" 2>/dev/null | sed -n 's/.*start= *\([0-9]*\), *size= *\([0-9]*\),.*/\1 \2/p' | sort -n |
        awk '{ printf "%.0f %.0f\n", $1 * 512, $2 * 512 }'
}

# bmap_fat IMAGE START: FROM and TO (not with it) of the free clusters, one line each.
bmap_fat() {
    sector=$(bmap_number "$1" $(($2 + 11)) 2)
    cluster=$(($(bmap_number "$1" $(($2 + 13)) 1) * sector))
    reserved=$(bmap_number "$1" $(($2 + 14)) 2)
    fats=$(bmap_number "$1" $(($2 + 16)) 1)
    entries=$(bmap_number "$1" $(($2 + 17)) 2) # of the root directory; none with FAT32, whose root is a file
    sectors=$(bmap_number "$1" $(($2 + 19)) 2)
    [ "$sectors" -ne 0 ] || sectors=$(bmap_number "$1" $(($2 + 32)) 4)
    length=$(bmap_number "$1" $(($2 + 22)) 2)
    [ "$length" -ne 0 ] || length=$(bmap_number "$1" $(($2 + 36)) 4)
    first=$((reserved + fats * length + (entries * 32 + sector - 1) / sector)) # the sector of cluster 2
    count=$(((sectors - first) * sector / cluster))
    # What tells the kinds of FAT apart is how many clusters there are.
    if [ $count -lt 4085 ]; then
        return # FAT12, with one and a half bytes for each: all of it is written
    elif [ $count -lt 65525 ]; then
        width=2
    else
        width=4
    fi
    od -An -v -t "u$width" -w"$width" -j $(($2 + reserved * sector + 2 * width)) -N $((count * width)) --endian=little "$1" |
        awk -v at=$(($2 + first * sector)) -v cluster=$cluster '
            function out() { if (free) printf "%.0f %.0f\n", from, at }
            { used = $1 % 268435456 != 0 }
            !used && !free { from = at; free = 1 }
            used { out(); free = 0 }
            { at += cluster }
            END { out() }'
}

# bmap_ext4 IMAGE START
bmap_ext4() {
    dumpe2fs "$1?offset=$2" 2>/dev/null |
        awk -v start="$2" '
            /^Block size:/ { size = $3 }
            /^  Free blocks: / {
                sub(/^  Free blocks: /, "")
                count = split($0, all, ", ")
                for (i = 1; i <= count; i++) {
                    if (split(all[i], ends, "-") == 1) ends[2] = ends[1]
                    if (ends[1] != "") printf "%.0f %.0f\n", start + ends[1] * size, start + (ends[2] + 1) * size
                }
            }'
}

# bmap_free IMAGE [FROM LENGTH...]: FROM and TO of what is free. FROM LENGTH are what lies between the partitions.
bmap_free() {
    disk=$1
    shift
    total=$(wc -c <"$disk")
    bmap_parts "$disk" >"$BMAP_TMP/parts"
    [ -s "$BMAP_TMP/parts" ] || die "$disk has no partition table that sfdisk can read"
    {
        # The partition table itself, and a GPT's copy at the end.
        if [ "$(bmap_text "$disk" 512 8)" = "EFI PART" ]; then
            echo "0 $((34 * 512))"
            echo "$((total - 33 * 512)) $((33 * 512))"
        else
            echo "0 512"
        fi
        while [ $# -gt 1 ]; do
            echo "$1 $2"
            shift 2
        done
        cat "$BMAP_TMP/parts"
    } | sort -n | awk -v total="$total" '
        $1 > end { printf "%.0f %.0f\n", end, $1 }
        $1 + $2 > end { end = $1 + $2 }
        END { if (end < total) printf "%.0f %.0f\n", end, total }'
    while read -r start size; do
        if [ "$(bmap_text "$disk" "$start" 4)" = hsqs ]; then
            end=$((start + $(bmap_number "$disk" $((start + 40)) 8)))
            echo "$end $((start + size))"
        elif [ "$(bmap_number "$disk" $((start + 1080)) 2)" = $((0xef53)) ]; then
            bmap_ext4 "$disk" "$start"
        elif [ "$(bmap_text "$disk" $((start + 82)) 5)" = FAT32 ] || [ "$(bmap_text "$disk" $((start + 54)) 5)" = FAT16 ]; then
            bmap_fat "$disk" "$start"
        fi
    done <"$BMAP_TMP/parts"
}

# bmap_ranges TOTAL: of the free places on standard input, the blocks that are left: FIRST and LAST of each run.
bmap_ranges() {
    sort -n | awk -v total="$1" -v block=$BMAP_BLOCK '
        function up(n) { return int((n + block - 1) / block) }
        { from = up($1); to = $2 == total ? up($2) : int($2 / block) }
        to <= from { next }
        from > next_ { printf "%.0f %.0f\n", next_, from - 1 }
        to > next_ { next_ = to }
        END { if (next_ < up(total)) printf "%.0f %.0f\n", next_, up(total) - 1 }'
}

# bmap_sum IMAGE FIRST LAST: sha256 of a run of blocks.
bmap_sum() {
    dd if="$1" bs=1M iflag=skip_bytes,count_bytes skip=$(($2 * BMAP_BLOCK)) count=$((($3 - $2 + 1) * BMAP_BLOCK)) 2>/dev/null |
        sha256sum | cut -d' ' -f1
}

# bmap_make IMAGE FILE [FROM LENGTH...]: writes the map of IMAGE.
bmap_make() {
    bmap_image=$1 bmap_file=$2
    shift 2
    BMAP_TMP=$(mktemp -d)
    total=$(wc -c <"$bmap_image")
    bmap_free "$bmap_image" "$@" >"$BMAP_TMP/free"
    bmap_ranges "$total" <"$BMAP_TMP/free" >"$BMAP_TMP/ranges"
    zeros=$(printf '%064d' 0)
    {
        echo '<?xml version="1.0" ?>'
        echo '<!-- What has to be written of a disk image, and what it must be then: see bmaptool(1). -->'
        echo '<bmap version="2.0">'
        echo "    <ImageSize> $((total)) </ImageSize>"
        echo "    <BlockSize> $BMAP_BLOCK </BlockSize>"
        echo "    <BlocksCount> $(((total + BMAP_BLOCK - 1) / BMAP_BLOCK)) </BlocksCount>"
        echo "    <MappedBlocksCount> $(awk '{ sum += $2 - $1 + 1 } END { print sum + 0 }' "$BMAP_TMP/ranges") </MappedBlocksCount>"
        echo '    <ChecksumType> sha256 </ChecksumType>'
        # Of this file, with zeros in this place.
        echo "    <BmapFileChecksum> $zeros </BmapFileChecksum>"
        echo '    <BlockMap>'
        while read -r first last; do
            range="$first-$last"
            [ "$first" -ne "$last" ] || range=$first
            echo "        <Range chksum=\"$(bmap_sum "$bmap_image" "$first" "$last")\"> $range </Range>"
        done <"$BMAP_TMP/ranges"
        echo '    </BlockMap>'
        echo '</bmap>'
    } >"$BMAP_TMP/bmap"
    sum=$(sha256sum <"$BMAP_TMP/bmap" | cut -d' ' -f1)
    sed "s/<BmapFileChecksum> $zeros </<BmapFileChecksum> $sum </" "$BMAP_TMP/bmap" >"$bmap_file"
    rm -r "$BMAP_TMP"
}

# bmap_mapped FILE: how many bytes a map says there are to write.
bmap_mapped() { sed -n 's/.*<MappedBlocksCount> *\([0-9]*\) .*/\1/p' "$1" | awk -v block=$BMAP_BLOCK '{ printf "%.0f\n", $1 * block }'; }
