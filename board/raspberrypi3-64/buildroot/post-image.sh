#!/bin/sh
# Usage: post-image.sh IMAGES
#
# The card's image, and a script that boots it in QEMU. Buildroot runs this in its own tree.
set -eu

here=$(dirname "$0")
support/scripts/genimage.sh -c "$here/genimage.cfg"
exec "$here/../../common/qemu-post-image.sh" "$1" raspberrypi3-64
