################################################################################
#
# linchpin
#
################################################################################

LINCHPIN_LOCATION = $(call qstrip,$(BR2_PACKAGE_LINCHPIN_SITE))
LINCHPIN_ARCHIVE = $(filter %.tar %.tar.gz %.tar.bz2 %.tar.xz %.tgz,$(LINCHPIN_LOCATION))

ifneq ($(LINCHPIN_ARCHIVE),)
# A tarball, by its path or URL. Its crates are vendored as those of any cargo
# package, unless it has them. Only the user can know its hash: if hashes are
# enforced, it is looked for in BR2_GLOBAL_PATCH_DIR.
LINCHPIN_SOURCE = $(notdir $(LINCHPIN_ARCHIVE))
BR_NO_CHECK_HASH_FOR += $(LINCHPIN_SOURCE)
LINCHPIN_VERSION = $(or $(shell echo '$(LINCHPIN_SOURCE)' | \
	sed -n 's/^linchpin-\(.*\)\.\(tar\|tgz\).*/\1/p'),custom)
LINCHPIN_SITE = $(if $(findstring ://,$(LINCHPIN_ARCHIVE)),,file://)$(patsubst %/,%,$(dir $(LINCHPIN_ARCHIVE)))
else
LINCHPIN_SITE = $(or $(LINCHPIN_LOCATION),$(BR2_EXTERNAL_LINCHPIN_PATH)/..)
LINCHPIN_SITE_METHOD = local
LINCHPIN_VERSION = $(or $(shell sed -n '/^version = /{s/[^0-9]*\([^"]*\).*/\1/p;q}' \
	$(LINCHPIN_SITE)/Cargo.toml 2>/dev/null),custom)
# Results of other builds, which can be gigabytes.
LINCHPIN_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = \
	--exclude /target --exclude /fuzz/target --exclude /.cargo
endif

LINCHPIN_LICENSE = $(LINCHPIN_COMMON_LICENSE)
LINCHPIN_LICENSE_FILES = LICENSE-APACHE LICENSE-MIT

# Buildroot sets these for all Rust programs. linchpin is built as its own
# profile has it, with debugging too: without link-time optimization it is twice
# as large, and a process 1 has nothing to unwind to. The target's own flags
# take the place of Buildroot's, which are for programs that are linked with
# libgcc.
LINCHPIN_RUSTFLAGS = -C relocation-model=static \
	--remap-path-prefix=$(@D)=linchpin

ifeq ($(BR2_ARM_CPU_HAS_THUMB2),y)
# A quarter smaller.
LINCHPIN_RUSTFLAGS += -C target-feature=+thumb-mode
endif

LINCHPIN_CARGO_ENV = \
	CARGO_TARGET_$(call UPPERCASE,$(RUSTC_TARGET_NAME))_RUSTFLAGS="$(LINCHPIN_RUSTFLAGS)" \
	CARGO_PROFILE_DEV_PANIC="abort" \
	CARGO_PROFILE_RELEASE_PANIC="abort" \
	CARGO_PROFILE_DEV_OPT_LEVEL="z" \
	CARGO_PROFILE_RELEASE_OPT_LEVEL="z" \
	CARGO_PROFILE_DEV_LTO="fat" \
	CARGO_PROFILE_RELEASE_LTO="fat" \
	CARGO_PROFILE_DEV_CODEGEN_UNITS="1" \
	CARGO_PROFILE_RELEASE_CODEGEN_UNITS="1"

LINCHPIN_CARGO_BUILD_OPTS = --bin linchpin

ifneq ($(LINCHPIN_COMMON_GROUPS),$(strip $(LINCHPIN_COMMON_OPTIONAL)))
LINCHPIN_CARGO_BUILD_OPTS += \
	--no-default-features \
	--features "machine $(LINCHPIN_COMMON_GROUPS)"
endif

# A tree has no vendored crates as a downloaded tarball has. The compiler that
# fetches them is there when the package is configured, not before.
define LINCHPIN_VENDOR
	$(TARGET_MAKE_ENV) $(PKG_COMMON_CARGO_ENV) \
	LINCHPIN_OFFLINE=$(BR2_PRIMARY_SITE_ONLY) \
		$(LINCHPIN_COMMON_DIR)/vendor $(@D)
endef
LINCHPIN_PRE_CONFIGURE_HOOKS += LINCHPIN_VENDOR

LINCHPIN_BINARY = $(@D)/target/$(RUSTC_TARGET_NAME)/$(if $(BR2_ENABLE_DEBUG),debug,release)/linchpin

define LINCHPIN_INSTALL_TARGET_CMDS
	$(call LINCHPIN_COMMON_INSTALL,$(LINCHPIN_BINARY))
endef

LINCHPIN_TARGET_FINALIZE_HOOKS += LINCHPIN_COMMON_FINALIZE

define LINCHPIN_USERS
	$(LINCHPIN_COMMON_USERS)
endef

$(eval $(cargo-package))
