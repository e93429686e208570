#!/bin/sh
# Usage: getty-tty1-post-build.sh TARGET
#
# A second login, on the screen, if there is one on the serial port.
set -eu

services=$1/etc/linchpin/service
if [ ! -d "$services/getty" ]; then exit; fi
rm -rf "$services/getty-tty1"
cp -R "$services/getty" "$services/getty-tty1"
cat >"$services/getty-tty1/conf" <<'END'
# The screen.
TTY=tty1
BAUD=0
TERM=linux
OPTIONS=
END
