################################################################################
#
# linchpin-common
#
################################################################################

# What linchpin and linchpin-bin do alike. Only one of them is ever in an image.

LINCHPIN_COMMON_DIR = $(BR2_EXTERNAL_LINCHPIN_PATH)/package/linchpin

LINCHPIN_COMMON_LICENSE = MIT or Apache-2.0

# What is compiled in, and what is linked to. "machine" is always there.
LINCHPIN_COMMON_OPTIONAL = \
	services \
	instances \
	events \
	descriptors \
	connections \
	logs \
	chain \
	upgrade

LINCHPIN_COMMON_GROUPS = \
	$(strip $(foreach group,$(LINCHPIN_COMMON_OPTIONAL),\
		$(if $(BR2_PACKAGE_LINCHPIN_$(call UPPERCASE,$(group))),$(group))))

ifeq ($(BR2_INIT_LINCHPIN),y)
LINCHPIN_COMMON_MODE = native
else ifeq ($(BR2_PACKAGE_LINCHPIN_BRIDGE),y)
LINCHPIN_COMMON_MODE = bridge
else
LINCHPIN_COMMON_MODE = commands
endif

ifeq ($(BR2_INIT_LINCHPIN),y)

LINCHPIN_COMMON_SERVICES = \
	$(if $(BR2_TARGET_GENERIC_GETTY),getty) \
	$(if $(BR2_PACKAGE_LINCHPIN_SERVICE_NETWORK),network) \
	$(if $(BR2_PACKAGE_LINCHPIN_SERVICE_SYSLOG),syslog) \
	$(if $(BR2_PACKAGE_LINCHPIN_SERVICE_KLOG),klog) \
	$(if $(BR2_PACKAGE_LINCHPIN_SERVICE_DROPBEAR),dropbear) \
	$(if $(BR2_PACKAGE_LINCHPIN_SERVICE_LIGHTTPD),lighttpd) \
	$(if $(BR2_PACKAGE_LINCHPIN_SERVICE_NGINX),nginx) \
	$(if $(BR2_ROOTFS_DEVICE_CREATION_DYNAMIC_MDEV),mdev) \
	$(if $(BR2_ROOTFS_DEVICE_CREATION_DYNAMIC_EUDEV),udev)

# The loggers are somebody of their own.
LINCHPIN_COMMON_USERS = log -1 log -1 * /run/log - - loggers

# Buildroot writes /etc/network/interfaces only for the inits that it knows.
ifeq ($(BR2_PACKAGE_IFUPDOWN_SCRIPTS),y)
define LINCHPIN_COMMON_INTERFACES
	mkdir -p $(TARGET_DIR)/etc/network
	$(IFUPDOWN_SCRIPTS_PREAMBLE)
	$(IFUPDOWN_SCRIPTS_LOCALHOST)
	$(IFUPDOWN_SCRIPTS_DHCP)
endef
endif

endif # BR2_INIT_LINCHPIN

# $(1): the binary
define LINCHPIN_COMMON_INSTALL
	$(INSTALL) -D -m 0755 $(1) $(TARGET_DIR)/sbin/linchpin
endef

# In the end, when BusyBox and everybody else have installed their commands.
define LINCHPIN_COMMON_FINALIZE
	$(LINCHPIN_COMMON_INTERFACES)
	LINCHPIN_MODE=$(LINCHPIN_COMMON_MODE) \
	LINCHPIN_GROUPS="$(LINCHPIN_COMMON_GROUPS)" \
	LINCHPIN_SHORT_NAMES=$(BR2_PACKAGE_LINCHPIN_SHORT_NAMES) \
	LINCHPIN_SERVICES="$(strip $(LINCHPIN_COMMON_SERVICES))" \
	LINCHPIN_SERVICES_DIR="$(call qstrip,$(BR2_PACKAGE_LINCHPIN_SERVICES_DIR))" \
	LINCHPIN_BOARD_TOML="$(call qstrip,$(BR2_PACKAGE_LINCHPIN_BOARD_TOML))" \
	LINCHPIN_FRAGMENTS="$(call qstrip,$(BR2_PACKAGE_LINCHPIN_BOARD_TOML_FRAGMENTS))" \
	LINCHPIN_REMOUNT_RW=$(BR2_TARGET_GENERIC_REMOUNT_ROOTFS_RW) \
	LINCHPIN_GETTY_PORT="$(SYSTEM_GETTY_PORT)" \
	LINCHPIN_GETTY_BAUDRATE="$(SYSTEM_GETTY_BAUDRATE)" \
	LINCHPIN_GETTY_TERM="$(SYSTEM_GETTY_TERM)" \
	LINCHPIN_GETTY_OPTIONS="$(SYSTEM_GETTY_OPTIONS)" \
		$(LINCHPIN_COMMON_DIR)/finalize \
			$(TARGET_DIR) $(BUILD_DIR)/linchpin-installed
endef
