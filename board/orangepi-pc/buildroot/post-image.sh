#!/bin/sh
# Usage: post-image.sh IMAGES
#
# The card's image. Buildroot runs this in its own tree.
set -eu

here=$(dirname "$0")
cp "$here/extlinux.conf" "$1/extlinux.conf"
exec support/scripts/genimage.sh -c "$here/genimage.cfg"
