# The parts of an image, each a file in $PARTS, made without mounts and the same every time. Sourced, never run; the board
# has been loaded by lib/board.sh.
# shellcheck shell=sh disable=SC2153,SC2154  # the board's variables, and image's

EPOCH=315532800 # 1980-01-01, before which FAT has no dates

# modules_named: what `modules` of the board's board.toml says, a module with its parameters on each line.
modules_named() {
    awk '
        /^[ \t]*\[/ && !inside { table = $0 }
        !inside && table ~ /^[ \t]*\[boot\]/ && /^[ \t]*modules[ \t]*=/ { inside = 1; sub(/^[^=]*=/, "") }
        inside {
            line = $0
            while (length(line) > 0) {
                first = substr(line, 1, 1)
                if (first == "#") break
                if (first == "]") { inside = 0; break }
                if (first == "\"") {
                    end = index(substr(line, 2), "\"")
                    if (end == 0) exit 1
                    print substr(line, 2, end - 1)
                    line = substr(line, end + 2)
                    continue
                }
                line = substr(line, 2)
            }
        }' "$BOARD_DIR/board.toml" || die "board/$BOARD/board.toml: there is a string without an end in 'modules'"
}

# module_key NAME: as the kernel calls a module, whatever its file is called.
module_key() { printf '%s\n' "$1" | tr - _; }

# module_path NAME: where a module's file is below lib/modules/VERSION. Nothing if the kernel has it built in.
module_path() {
    key=$(module_key "$1")
    awk -F: -v key="$key" '
        { name = $1; sub(/.*\//, "", name); sub(/\.ko(\.[a-z0-9]+)?$/, "", name); gsub(/-/, "_", name) }
        name == key { print $1; exit }' "$MODULES/modules.dep"
}

# module_builtin NAME
module_builtin() {
    key=$(module_key "$1")
    sed 's/.*\///; s/\.ko$//; s/-/_/g' "$MODULES/modules.builtin" | grep -qx "$key"
}

# module_put NAME FILE: copies a module, not compressed, whatever it is in the package.
module_put() {
    path=$(module_path "$1")
    if [ -z "$path" ]; then
        ! module_builtin "$1" || die "board/$BOARD/board.toml: '$1' is built into $KERNEL: take it out of 'modules'"
        die "board/$BOARD/board.toml: $KERNEL has no module '$1'"
    fi
    case $path in
    *.xz) xz -dc "$MODULES/$path" >"$2" ;;
    *.zst) zstd -qdc "$MODULES/$path" >"$2" ;;
    *.gz) gzip -dc "$MODULES/$path" >"$2" ;;
    *) cp "$MODULES/$path" "$2" ;;
    esac
}

# module_place NAME: initramfs or root. What has a path is in the root in any case.
module_place() {
    case $1 in
    */*) echo root; return ;;
    esac
    for name in $ROOT_MODULES; do
        if [ "$(module_key "$name")" = "$(module_key "$1")" ]; then
            echo root
            return
        fi
    done
    echo initramfs
}

# same_dates DIR: nothing in it tells when it was made, or by whom.
same_dates() {
    chmod -R u=rwX,go=rX "$1"
    find "$1" -exec touch -h -d @0 {} +
}

# sources_there: is everything there that the board wants on its disk? Asked before anything is made.
sources_there() {
    [ -r "$MODULES/modules.dep" ] || die "files are missing. Run: scripts/setup $BOARD"
    [ -x "$OUT/$ARCH/linchpin" ] || die "linchpin is not built. Run: scripts/build $ARCH"
    for pair in $BOOT $RAW; do
        [ "${pair#*=}" != initramfs ] || continue
        from=$(board_file "${pair#*=}")
        [ -r "$from" ] || die "board/$BOARD/board.conf: there is no ${pair#*=} ($from)"
    done
}

# part_initramfs: process 1, what it needs to know, and the modules that the root needs. Nothing else: no shell.
part_initramfs() {
    tree=$PARTS/initramfs.tree
    mkdir -p "$tree/etc/linchpin" "$tree/lib/modules"
    cp "$OUT/$ARCH/linchpin" "$tree/init"
    cp "$BOARD_DIR/board.toml" "$tree/etc/linchpin/board.toml"
    modules_named >"$PARTS/modules"
    while read -r name _; do
        [ "$(module_place "$name")" = root ] || module_put "$name" "$tree/lib/modules/$(module_key "$name").ko"
    done <"$PARTS/modules"
    same_dates "$tree"
    chmod 755 "$tree/init"
    (cd "$tree" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 --reproducible) >"$PARTS/initramfs.cpio"
    gzip -9n <"$PARTS/initramfs.cpio" >"$PARTS/initramfs"
    modules=$(find "$tree/lib/modules" -name '*.ko' | wc -l)
}

# root_modules: those that wait for the root, with what they depend on, as modprobe would look for them.
root_modules() {
    for name in $ROOT_MODULES; do
        path=$(module_path "$name")
        [ -n "$path" ] || die "board/$BOARD/board.conf: $KERNEL has no module '$name'"
        sed -n "s|^$path:||p" "$MODULES/modules.dep" | tr ' ' '\n'
        echo "$path"
    done | sed '/^$/d' | LC_ALL=C sort -u
}

# part_root: the demo's root with this board's board.toml, as a squashfs.
part_root() {
    tree=$PARTS/root.tree
    "$ROOT/scripts/rootfs" --tree="$tree" "$ARCH"
    rm "$tree/init" # that is the initramfs's
    mkdir "$tree/data"
    if [ -d "$BOARD_DIR/root" ]; then
        cp -RP "$BOARD_DIR/root" "$PARTS/root.more"
        chmod -R u=rwX,go=rX "$PARTS/root.more"
        cp -RP "$PARTS/root.more/." "$tree/"
    fi
    cp "$BOARD_DIR/board.toml" "$tree/etc/linchpin/board.toml"
    chmod 644 "$tree/etc/linchpin/board.toml"
    if [ -n "$ROOT_MODULES" ]; then
        to=$tree/lib/modules/$VERSION
        mkdir -p "$to"
        root_modules >"$PARTS/root.modules"
        while read -r path; do
            mkdir -p "$to/${path%/*}"
            cp "$MODULES/$path" "$to/$path"
            chmod 644 "$to/$path"
        done <"$PARTS/root.modules"
        cp "$MODULES/modules.order" "$MODULES/modules.builtin" "$MODULES/modules.builtin.modinfo" "$to/"
        depmod -b "$tree" "$VERSION"
        # BusyBox's modprobe and process 1 read the text.
        rm -f "$to"/*.bin "$to/modules.order" "$to/modules.builtin.modinfo"
    fi
    find "$tree" -exec touch -h -d @0 {} +
    SOURCE_DATE_EPOCH=0 mksquashfs "$tree" "$PARTS/root.squashfs" -noappend -all-root -no-xattrs -no-exports \
        -comp "$SQUASHFS" -b 128K -no-progress -quiet >"$PARTS/mksquashfs.log" ||
        die "mksquashfs failed: $(cat "$PARTS/mksquashfs.log")"
    files=$(find "$tree" -type f -exec cat {} + | wc -c)
    row root root.squashfs "$(find "$tree" ! -type d | wc -l) files" "$files" "$(size_of "$PARTS/root.squashfs") $SQUASHFS"
}

# boot_tree: what goes onto the FAT partition, as a folder.
boot_tree() {
    tree=$PARTS/boot.tree
    mkdir -p "$tree"
    for pair in $BOOT; do
        from=$(board_file "${pair#*=}")
        case ${pair%%=*} in
        */*) mkdir -p "$tree/$(dirname "${pair%%=*}")" ;;
        esac
        cp "$from" "$tree/${pair%%=*}"
        case ${pair#*=} in
        initramfs)
            row boot "${pair%%=*}" "linchpin, board.toml, $modules modules" "$(size_of "$PARTS/initramfs.cpio")" \
                "$(size_of "$from") gzip" ;;
        kernel) row boot "${pair%%=*}" "Linux $VERSION" "$(size_of "$from")" "$(size_of "$from")" ;;
        dtb) row boot "${pair%%=*}" "${DTB##*/}" "$(size_of "$from")" "$(size_of "$from")" ;;
        *) row boot "${pair%%=*}" "${pair##*/}" "$(size_of "$from")" "$(size_of "$from")" ;;
        esac
    done
    [ -d "$BOARD_DIR/boot" ] || return 0
    # Texts, in which the command line has its place.
    (cd "$BOARD_DIR/boot" && find . -type f | LC_ALL=C sort) >"$PARTS/texts"
    while read -r file; do
        mkdir -p "$tree/$(dirname "$file")"
        while IFS= read -r line || [ -n "$line" ]; do
            case $line in
            *@CMDLINE@*) line=${line%%@CMDLINE@*}$CMDLINE${line#*@CMDLINE@} ;;
            esac
            printf '%s\n' "$line"
        done <"$BOARD_DIR/boot/$file" >"$tree/$file"
        row boot "${file#./}" text "$(size_of "$tree/$file")" "$(size_of "$tree/$file")"
    done <"$PARTS/texts"
}

# part_boot: the FAT partition.
part_boot() {
    boot_tree
    same_dates "$PARTS/boot.tree"
    find "$PARTS/boot.tree" -exec touch -h -d @$EPOCH {} +
    rm -f "$PARTS/boot.vfat"
    truncate -s "${BOOT_SIZE}M" "$PARTS/boot.vfat"
    # One sector a cluster: FAT32 has to have more than 65524 of them.
    mkfs.vfat --invariant -F 32 -s 1 -n BOOT -i "$(board_uuid boot-volume | cut -c1-8)" "$PARTS/boot.vfat" >"$PARTS/mkfs.log" 2>&1 ||
        die "mkfs.vfat failed: $(cat "$PARTS/mkfs.log")"
    # In the order of their names, one after the other: so is the order on the disk.
    (cd "$PARTS/boot.tree" && find . -mindepth 1 -type d | LC_ALL=C sort) >"$PARTS/folders"
    (cd "$PARTS/boot.tree" && find . -type f | LC_ALL=C sort) >"$PARTS/files"
    export SOURCE_DATE_EPOCH=$EPOCH MTOOLS_SKIP_CHECK=1 MTOOLSRC=/dev/null
    while read -r folder; do
        mmd -i "$PARTS/boot.vfat" "::${folder#.}" || die "mmd failed for ${folder#./}"
    done <"$PARTS/folders"
    while read -r file; do
        mcopy -m -i "$PARTS/boot.vfat" "$PARTS/boot.tree/$file" "::${file#.}" </dev/null ||
            die "board/$BOARD: ${file#./} does not fit onto the boot partition: raise BOOT_SIZE, which is ${BOOT_SIZE} MiB"
    done <"$PARTS/files"
    unset SOURCE_DATE_EPOCH MTOOLS_SKIP_CHECK MTOOLSRC
}

# part_data: an ext4 for what the board writes. Its features are named here: those of this machine's configuration
# may be too new for the board's kernel.
part_data() {
    cat >"$PARTS/mke2fs.conf" <<'CONF'
[defaults]
    base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
    default_mntopts = acl,user_xattr
    enable_periodic_fsck = 0
    blocksize = 4096
    inode_size = 256
    inode_ratio = 16384
    reserved_ratio = 1
    lazy_itable_init = 0
[fs_types]
    ext4 = {
        features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
    }
CONF
    mkdir -p "$PARTS/data.tree"
    if [ -d "$BOARD_DIR/data" ]; then cp -R "$BOARD_DIR/data/." "$PARTS/data.tree/"; fi
    same_dates "$PARTS/data.tree"
    rm -f "$PARTS/data.ext4"
    MKE2FS_CONFIG=$PARTS/mke2fs.conf E2FSPROGS_FAKE_TIME=$EPOCH mke2fs -q -t ext4 -L data -U "$(board_uuid data-fs)" \
        -E "hash_seed=$(board_uuid data-hash),root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0" \
        -d "$PARTS/data.tree" "$PARTS/data.ext4" "${DATA_SIZE}M" >"$PARTS/mke2fs.log" 2>&1 ||
        die "mke2fs failed: $(cat "$PARTS/mke2fs.log")"
}

# part_raw: what lies outside the partitions, as board.conf says: OFFSET=SOURCE, in bytes.
part_raw() {
    for pair in $RAW; do
        from=$(board_file "${pair#*=}")
        cp "$from" "$PARTS/${from##*/}"
        row raw "${from##*/}" "at $((${pair%%=*} / 1024)) KiB" "$(size_of "$from")" "$(size_of "$from")"
    done
}

# raw_extents: OFFSET LENGTH of each of them.
raw_extents() {
    for pair in $RAW; do
        echo "${pair%%=*} $(size_of "$(board_file "${pair#*=}")")"
    done
}

# assemble FILE: the disk, as the board's genimage.cfg lays it out.
assemble() {
    mkdir -p "$PARTS/genimage.root" "$PARTS/genimage.tmp" "$PARTS/disk"
    # Of a disk with an MBR only 32 bits of it are used.
    DISK_UUID=$(board_uuid disk)
    DISK_ID=0x$(echo "$DISK_UUID" | cut -c1-8)
    BOOT_UUID=$(board_uuid boot) ROOT_UUID=$(board_uuid root) DATA_UUID=$(board_uuid data)
    export BOARD BOOT_SIZE DATA_SIZE DISK_UUID DISK_ID BOOT_UUID ROOT_UUID DATA_UUID
    genimage --config "$BOARD_DIR/genimage.cfg" --rootpath "$PARTS/genimage.root" --tmppath "$PARTS/genimage.tmp" \
        --inputpath "$PARTS" --outputpath "$PARTS/disk" >"$PARTS/genimage.log" 2>&1 ||
        die "genimage failed for board/$BOARD/genimage.cfg: $(grep -v '^INFO' "$PARTS/genimage.log" | head -n 1)"
    [ -r "$PARTS/disk/$BOARD.img" ] || die "board/$BOARD/genimage.cfg makes no \${BOARD}.img"
    # An SD card of another size is one that QEMU does not take.
    size=$(size_of "$PARTS/disk/$BOARD.img")
    power=1048576
    while [ $power -lt "$size" ]; do power=$((power * 2)); done
    [ "$SD" = no ] || [ "$size" -eq $power ] ||
        die "board/$BOARD/genimage.cfg: an SD card's size has to be a power of two, and this is $size: say size = $((power / 1048576))M"
    for pair in $RAW; do
        from=$(board_file "${pair#*=}")
        cmp -s -n "$(size_of "$from")" -i "${pair%%=*}:0" "$PARTS/disk/$BOARD.img" "$from" ||
            die "board/$BOARD: genimage.cfg has not put ${from##*/} at ${pair%%=*}, where RAW says it is"
    done
}

size_of() { wc -c <"$1"; }

# row GROUP FILE WHAT BYTES PACKED: a line of the table, below the partition GROUP.
row() { printf '%s\t%s\t%s\t%s\n' "$2" "$3" "$4" "$5" >>"$PARTS/table.$1"; }
