"""linchpin as the init system of an image: the same questions that Buildroot asks of the others."""

from linchpin.base import CpioTest, INIT_CONFIG, InitTest, TOOLCHAIN_CONFIG

READ_ONLY = \
    """
    # BR2_TARGET_GENERIC_REMOUNT_ROOTFS_RW is not set
    BR2_TARGET_ROOTFS_SQUASHFS=y
    """

READ_WRITE = \
    """
    BR2_TARGET_ROOTFS_EXT2=y
    """

NETWORK = \
    """
    BR2_SYSTEM_DHCP="eth0"
    """


class TestInitLinchpinRo(InitTest):
    config = INIT_CONFIG + READ_ONLY

    def test_run(self):
        self.start_emulator("squashfs")
        self.check_linchpin()
        self.check_log()
        self.check_root("ro")
        self.check_no_network()
        self.check_poweroff()


class TestInitLinchpinRw(InitTest):
    config = INIT_CONFIG + READ_WRITE

    def test_run(self):
        self.start_emulator("ext2")
        self.check_linchpin()
        self.check_log()
        self.check_root("rw")
        self.check_no_network()
        self.check_poweroff()


class TestInitLinchpinRoNet(InitTest):
    config = INIT_CONFIG + READ_ONLY + NETWORK

    def test_run(self):
        self.start_emulator("squashfs")
        self.check_linchpin()
        self.check_network()
        self.check_poweroff()


class TestInitLinchpinRwNet(InitTest):
    config = INIT_CONFIG + READ_WRITE + NETWORK

    def test_run(self):
        self.start_emulator("ext2")
        self.check_linchpin()
        self.check_network()
        self.check_poweroff()


class TestInitLinchpinMergedUsr(InitTest):
    config = INIT_CONFIG + READ_WRITE + \
        """
        BR2_ROOTFS_MERGED_USR=y
        """

    def test_run(self):
        self.start_emulator("ext2")
        self.check_linchpin()
        self.assertRunOk("test -L /sbin && test -L /bin")
        self.check_poweroff()


class TestInitLinchpinMergedBin(InitTest):
    config = INIT_CONFIG + READ_ONLY + \
        """
        BR2_ROOTFS_MERGED_USR=y
        BR2_ROOTFS_MERGED_BIN=y
        """

    def test_run(self):
        self.start_emulator("squashfs")
        self.check_linchpin()
        self.assertRunOk("test -L /usr/sbin && test -e /usr/bin/linchpin")
        self.check_poweroff()


class TestInitLinchpinCpio(CpioTest):
    config = INIT_CONFIG + \
        """
        BR2_TARGET_ROOTFS_CPIO=y
        """

    def test_run(self):
        self.boot()
        self.check_linchpin()
        self.check_log()
        self.check_poweroff()


class TestInitLinchpinBridge(CpioTest):
    """An image for BusyBox init, whose /etc/inittab and start scripts linchpin runs."""

    config = TOOLCHAIN_CONFIG + \
        """
        BR2_PACKAGE_LINCHPIN=y
        BR2_PACKAGE_LINCHPIN_BRIDGE=y
        BR2_SYSTEM_DHCP="eth0"
        BR2_TARGET_GENERIC_GETTY_PORT="ttyAMA0"
        BR2_TARGET_ROOTFS_CPIO=y
        # BR2_TARGET_ROOTFS_TAR is not set
        """

    def test_run(self):
        self.boot()
        self.check_linchpin()
        # What S01syslogd, S02klogd and S40network have done.
        self.assertRunOk("pidof syslogd")
        self.assertRunOk("pidof klogd")
        self.check_network()
        self.check_poweroff()
