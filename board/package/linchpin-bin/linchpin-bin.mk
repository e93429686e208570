################################################################################
#
# linchpin-bin
#
################################################################################

# As scripts/build calls them.
LINCHPIN_BIN_ARCH = $(if $(BR2_arm),arm,$(ARCH))

LINCHPIN_BIN_LOCATION = $(patsubst %/,%,$(call qstrip,$(BR2_PACKAGE_LINCHPIN_BIN_SITE)))

LINCHPIN_BIN_VERSION = custom

ifneq ($(findstring ://,$(LINCHPIN_BIN_LOCATION)),)
# The files of all architectures may share a download directory; their hashes
# are the user's to give, in BR2_GLOBAL_PATCH_DIR.
LINCHPIN_BIN_SITE = $(LINCHPIN_BIN_LOCATION)
LINCHPIN_BIN_SOURCE = linchpin-$(LINCHPIN_BIN_ARCH)
define LINCHPIN_BIN_EXTRACT_CMDS
	cp $(LINCHPIN_BIN_DL_DIR)/$(LINCHPIN_BIN_SOURCE) $(@D)/linchpin
endef
else
LINCHPIN_BIN_DIRECTORY = $(or $(LINCHPIN_BIN_LOCATION),$(BR2_EXTERNAL_LINCHPIN_PATH)/../target/out)
LINCHPIN_BIN_SITE = $(LINCHPIN_BIN_DIRECTORY)/$(LINCHPIN_BIN_ARCH)
LINCHPIN_BIN_SITE_METHOD = local
# Nothing else that is there.
LINCHPIN_BIN_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = --include /linchpin --exclude '*'
endif

LINCHPIN_BIN_LICENSE = $(LINCHPIN_COMMON_LICENSE)

define LINCHPIN_BIN_EXISTS
	@test -f $(LINCHPIN_BIN_SITE)/linchpin || { \
		echo "linchpin-bin: there is no $(LINCHPIN_BIN_SITE)/linchpin. Make it: scripts/build $(LINCHPIN_BIN_ARCH), in linchpin's tree; or set BR2_PACKAGE_LINCHPIN_BIN_SITE" >&2; \
		exit 1; \
	}
endef
LINCHPIN_BIN_PRE_RSYNC_HOOKS += LINCHPIN_BIN_EXISTS

define LINCHPIN_BIN_INSTALL_TARGET_CMDS
	$(call LINCHPIN_COMMON_INSTALL,$(@D)/linchpin)
endef

LINCHPIN_BIN_TARGET_FINALIZE_HOOKS += LINCHPIN_COMMON_FINALIZE

define LINCHPIN_BIN_USERS
	$(LINCHPIN_COMMON_USERS)
endef

$(eval $(generic-package))
