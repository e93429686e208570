"""What the tests have in common: where the external tree is, and what makes an image good."""

import os

import pexpect

from infra.basetest import BRTest
from tests.init.base import InitSystemBase

EXTERNAL = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# ARMv7 is the oldest that linchpin is for: infra.basetest's toolchain for everybody is for ARMv5.
TOOLCHAIN_CONFIG = \
    """
    BR2_arm=y
    BR2_cortex_a9=y
    BR2_ARM_ENABLE_NEON=y
    BR2_ARM_ENABLE_VFP=y
    BR2_TOOLCHAIN_EXTERNAL=y
    BR2_TOOLCHAIN_EXTERNAL_BOOTLIN=y
    BR2_TOOLCHAIN_EXTERNAL_BOOTLIN_ARMV7_EABIHF_GLIBC_STABLE=y
    """

INIT_CONFIG = TOOLCHAIN_CONFIG + \
    """
    BR2_INIT_LINCHPIN=y
    BR2_TARGET_GENERIC_GETTY_PORT="ttyAMA0"
    # BR2_TARGET_ROOTFS_TAR is not set
    """


class Checks:
    """For classes that have an emulator and have logged in to it."""

    def check_linchpin(self):
        self.assertRunOk("cmp /proc/1/exe /sbin/init")
        self.assertRunOk("cmp /proc/1/exe /sbin/linchpin")
        # The prompt may be there before the last service is. Each command may only take a few seconds.
        for _ in range(10):
            output, code = self.emulator.run("linchpin failed")
            if code == 0:
                break
            self.emulator.run("sleep 1")
        self.assertEqual((output, code), ([], 0))

    def check_log(self):
        # Loggers write what they get within a moment, and the kernel has said something.
        self.assertRunOk("for i in 1 2 3 4; do linchpin log -n 1 | grep -q . && break; sleep 1; done")
        output, code = self.emulator.run("linchpin log -n 1")
        self.assertEqual(code, 0)
        self.assertEqual(len(output), 1)

    def check_no_network(self):
        self.assertRunNotOk("ip addr show eth0 | grep 'inet '")

    def check_network(self):
        for _ in range(10):
            _, code = self.emulator.run("ip addr show eth0 | grep 'inet '")
            if code == 0:
                return
            self.emulator.run("sleep 1")
        self.fail("eth0 has no address")

    def check_root(self, option):
        """Is the root mounted so: `ro` or `rw`?"""
        self.assertRunOk(f"grep -E '^[^ ]+ / (squashfs|ext[234]|tmpfs|rootfs) {option}[, ]' /proc/mounts")

    def check_poweroff(self):
        self.emulator.qemu.sendline("poweroff")
        index = self.emulator.qemu.expect(["System halted", "Power down", pexpect.EOF, pexpect.TIMEOUT],
                                          timeout=60 * self.emulator.timeout_multiplier)
        self.assertLess(index, 3, "poweroff did not end")


class InitTest(Checks, InitSystemBase):
    """An image on a card."""

    br2_external = [EXTERNAL]


class CpioTest(Checks, BRTest):
    """An image that is unpacked into memory."""

    br2_external = [EXTERNAL]

    def boot(self):
        image = os.path.join(self.builddir, "images", "rootfs.cpio")
        self.emulator.boot(arch="armv7", kernel="builtin", options=["-initrd", image])
        self.emulator.login()
