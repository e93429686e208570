#!/bin/sh
# Usage: qemu-post-image.sh IMAGES BOARD
#
# Makes IMAGES/start-qemu.sh of the command that the board's readme.txt names, with the template of Buildroot's own QEMU
# boards. Buildroot runs this in its own tree, with its variables in the environment.
set -eu

images=$1
board=$2
readme=$(dirname "$0")/../$board/buildroot/readme.txt

# The command may be written on several lines, with a backslash at the end of each but the last.
command=$(sed -n '/^ *qemu-system-/,/[^\\]$/p' "$readme" | sed -e 's/\\$//' -e 's|output/images/||g' | tr -s '\n\t ' ' ')
if [ -z "${command# }" ]; then
    echo "there is no line 'qemu-system-...' in $readme" >&2
    exit 1
fi

# QEMU takes a card only if its size is a power of two.
card=$(echo "$command" | sed -n 's/.*-drive file=\([^, ]*\),if=sd.*/\1/p')
if [ -n "$card" ]; then
    size=$(wc -c <"$images/$card")
    power=1048576
    while [ "$power" -lt "$size" ]; do power=$((power * 2)); done
    truncate -s "$power" "$images/$card"
fi

serial=
case $command in
*'-serial stdio'*)
    serial='-serial stdio'
    command=$(echo "$command" | sed 's/-serial stdio//') ;;
esac

sed -e "s|@QEMU_CMD_LINE@|$command|" -e "s|@DEFAULT_ARGS@|$serial|" -e 's|@SERIAL_ARGS@|-nographic|' \
    -e "s|@HOST_DIR@|$HOST_DIR|" board/qemu/start-qemu.sh.in >"$images/start-qemu.sh"
chmod +x "$images/start-qemu.sh"
