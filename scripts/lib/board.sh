# A board's folder, board/NAME: what its board.conf says, and where the files that it names are. Sourced, never run.
# shellcheck shell=sh disable=SC2034,SC2153  # the variables are for whoever sources this

BOARDS=$ROOT/board
# The boards whose images are made and booted in every run of the tests; the others wait for `scripts/test --all`.
CI_BOARDS="orangepi-pc qemu-x86_64"

# board_is NAME: is there a board of this name?
board_is() {
    case $1 in
    '' | */* | .*) return 1 ;;
    esac
    [ -r "$BOARDS/$1/board.conf" ]
}

# board_all: the names of all boards.
board_all() {
    for conf in "$BOARDS"/*/board.conf; do
        [ ! -r "$conf" ] || basename "${conf%/board.conf}"
    done
}

# board_load NAME: sets what board/README.md describes. What the board does not say is its architecture's.
board_load() {
    board_is "$1" || die "there is no board '$1'. There are: $(board_all | tr '\n' ' ')"
    BOARD=$1
    BOARD_DIR=$BOARDS/$1
    ARCH='' DTB='' FIRMWARE='' CMDLINE='' BOOT='' RAW='' ROOT_MODULES='' SD=no
    BOOT_SIZE=48 DATA_SIZE=16 QEMU='' QEMU_VARS='' POWEROFF=yes
    # Once for the architecture, whose values it may then replace.
    # shellcheck disable=SC1091
    . "$BOARD_DIR/board.conf"
    [ -n "$ARCH" ] || die "board/$BOARD/board.conf: which ARCH? One of $ALL_ARCHES"
    arch_set "$ARCH"
    # shellcheck disable=SC1091
    . "$BOARD_DIR/board.conf"
    BOARD_KERNEL=$(tree_files "$KERNEL") # kernel, dtb/ and lib/modules/VERSION in it
}

# board_file SOURCE: where a file is that BOOT, RAW or QEMU_VARS names.
board_file() {
    case $1 in
    kernel) echo "$BOARD_KERNEL/kernel" ;;
    dtb) echo "$BOARD_KERNEL/dtb/$DTB" ;;
    initramfs) echo "$PARTS/initramfs" ;; # made by `image`
    */*) echo "$(tree_firmware "${1%%/*}")/${1#*/}" ;;
    *) die "board/$BOARD/board.conf: '$1' is neither kernel, dtb, initramfs nor PACKAGE/PATH" ;;
    esac
}

# board_uuid PURPOSE: a UUID that this board always has for this purpose (version 8: of our own making).
board_uuid() {
    printf 'linchpin %s %s' "$BOARD" "$1" | sha256sum |
        sed 's/^\(.\{8\}\)\(.\{4\}\).\(.\{3\}\).\(.\{3\}\)\(.\{12\}\).*/\1-\2-8\3-8\4-\5/'
}

# board_qemu IMAGE VARS: the words of QEMU's command for this board, one a line. IMAGE is the disk, which the guest
# writes to; VARS a private copy of what QEMU_VARS names, if it names anything.
board_qemu() {
    [ -n "$QEMU" ] || die "board/$BOARD/board.conf has no QEMU command"
    # A comma would end an option's value: QEMU wants two.
    qemu_image=$(printf %s "$1" | sed 's/,/,,/g')
    qemu_vars=$(printf %s "$2" | sed 's/,/,,/g')
    for word in $QEMU; do
        case $word in
        *@IMAGE@*) word=${word%%@IMAGE@*}$qemu_image${word#*@IMAGE@} ;;
        *@VARS@*) word=${word%%@VARS@*}$qemu_vars${word#*@VARS@} ;;
        *@FIRMWARE@/*)
            file=${word#*@FIRMWARE@/}
            file=${file%%,*}
            place=$(board_file "$file" | sed 's/,/,,/g')
            word=${word%%@FIRMWARE@*}$place${word#*"$file"} ;;
        *@DTB@*) word=${word%%@DTB@*}$(board_file dtb | sed 's/,/,,/g')${word#*@DTB@} ;;
        esac
        printf '%s\n' "$word"
    done
}
