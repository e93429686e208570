"""Buildroot's tests of s6, s6-rc and s6-networking, with linchpin in their place, under its names for the same commands.

What linchpin does not have stays out: execline (a run file can be a command line for `linchpin exec`), the compiler of
s6-rc (dependencies are files of a service directory), and the TAI clock of s6-networking.
"""

import textwrap

from linchpin.base import CpioTest, TOOLCHAIN_CONFIG

CONFIG = TOOLCHAIN_CONFIG + \
    """
    BR2_PACKAGE_LINCHPIN=y
    BR2_TARGET_GENERIC_GETTY_PORT="ttyAMA0"
    BR2_TARGET_ROOTFS_CPIO=y
    # BR2_TARGET_ROOTFS_TAR is not set
    """


class ScanTest(CpioTest):
    def make_service(self, name, lines):
        script = textwrap.dedent(lines)
        self.assertRunOk(f"mkdir -p source/{name}")
        self.assertRunOk(f"cat > source/{name}/run <<'EOF'{script}EOF")
        self.assertRunOk(f"chmod +x source/{name}/run")

    def wait_for(self, cmd, code=0):
        """Runs the command until it exits with `code`, some seconds at most."""
        for _ in range(10):
            _, exit_code = self.emulator.run(cmd)
            if exit_code == code:
                return
            self.emulator.run("sleep 1")
        self.fail(f"{cmd} exits with {exit_code} and not with {code}")


class TestLinchpinS6(ScanTest):
    config = CONFIG

    def test_run(self):
        self.boot()

        _, exit_code = self.emulator.run("s6-svscan -h")
        self.assertEqual(exit_code, 100)

        # Set up scanning and service directories
        self.make_service("testsv", """
            #!/sbin/linchpin exec
            s6-ipcserver-socketbinder /tmp/socket
            s6-ipcserverd
            cat
            """)
        _, exit_code = self.emulator.run("s6-svok source/testsv")
        self.assertEqual(exit_code, 1)

        # Run a scan and start all services
        self.emulator.run("s6-svscan source &")
        self.wait_for("s6-svok source/testsv")

        # Test a running service
        self.wait_for("test -S /tmp/socket")
        cmd = "echo foobar | s6-ipcclient /tmp/socket s6-ioconnect -67"
        output, exit_code = self.emulator.run(cmd)
        self.assertEqual(exit_code, 0)
        self.assertEqual(output[0], "foobar")

        # Terminate all services
        _, exit_code = self.emulator.run("s6-svscanctl -t source")
        self.assertEqual(exit_code, 0)
        self.wait_for("s6-svok source/testsv", 1)


class TestLinchpinS6Rc(ScanTest):
    config = CONFIG

    def test_run(self):
        self.boot()

        _, exit_code = self.emulator.run("s6-svscan -h")
        self.assertEqual(exit_code, 100)

        # Set up two service directories with a dependency
        for name in ["testsv1", "testsv2"]:
            self.make_service(name, f"""
                #!/bin/sh
                echo {name} >>/tmp/order
                exec sleep 1000
                """)
        self.assertRunOk("mkdir source/testsv2/dependencies.d")
        self.assertRunOk("touch source/testsv2/dependencies.d/testsv1")
        self.assertRunOk("touch source/testsv1/down")

        # The one waits for the other, and says so
        self.emulator.run("s6-svscan source &")
        self.wait_for("s6-svok source/testsv2")
        self.wait_for("linchpin status source | grep 'testsv2.*testsv1'")
        self.assertRunNotOk("test -e /tmp/order")

        # It is started after it
        self.assertRunOk("s6-svc -u source/testsv1")
        self.wait_for("grep -q testsv2 /tmp/order")
        output, exit_code = self.emulator.run("cat /tmp/order")
        self.assertEqual(exit_code, 0)
        self.assertEqual(output, ["testsv1", "testsv2"])


class TestLinchpinS6Networking(CpioTest):
    config = CONFIG

    def test_run(self):
        self.boot()

        # Test the TCP server and client
        _, exit_code = self.emulator.run("s6-tcpserver 127.0.0.1 1024 cat &")
        self.emulator.run("sleep 2")
        cmd = "echo foobar | s6-tcpclient 127.0.0.1 1024 s6-ioconnect -67"
        output, exit_code = self.emulator.run(cmd)
        self.assertEqual(exit_code, 0)
        self.assertEqual(output[0], "foobar")
