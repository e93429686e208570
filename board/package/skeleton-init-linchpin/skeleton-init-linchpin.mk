################################################################################
#
# skeleton-init-linchpin
#
################################################################################

SKELETON_INIT_LINCHPIN_LICENSE = MIT or Apache-2.0

# Everything depends on the skeleton, the toolchain too.
SKELETON_INIT_LINCHPIN_ADD_TOOLCHAIN_DEPENDENCY = NO
SKELETON_INIT_LINCHPIN_ADD_SKELETON_DEPENDENCY = NO

SKELETON_INIT_LINCHPIN_DEPENDENCIES = skeleton-init-common

SKELETON_INIT_LINCHPIN_PROVIDES = skeleton

define SKELETON_INIT_LINCHPIN_INSTALL_TARGET_CMDS
	$(call SYSTEM_RSYNC,$(SKELETON_INIT_LINCHPIN_PKGDIR)/skeleton,$(TARGET_DIR))
endef

$(eval $(generic-package))
