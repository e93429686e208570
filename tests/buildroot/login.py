#!/usr/bin/python3
"""Usage: login.py [--limit=SECONDS] [--log=FILE] [--halts] [--init=FILE] [--run=COMMAND]... -- QEMU-COMMAND...

Boots an image that Buildroot made and judges it by its console, as somebody would who sits there: the login prompt
comes; root logs in; process 1 is /sbin/init; no service is down that should be up; every --run command succeeds; and
`poweroff` ends the emulator. It prints a line for each finding, as scripts/boot --check does: seconds, verdict, text.

   --limit=SECONDS   for the way to the login prompt, and again for all that follows (180)
   --log=FILE        everything that came from the console
   --halts           the machine's model cannot switch itself off: be content with the kernel's last words
   --init=FILE       what process 1 is (/sbin/init)

It exits with 0 if all was well.
"""

import argparse
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time


class Wrong(Exception):
    """What the findings end with."""


class Console:
    """A machine whose console is a terminal of ours."""

    def __init__(self, command, log, limit):
        self.limit = limit
        self.log = log
        self.seen = b""
        self.found = None
        self.history = b""
        self.master, slave = pty.openpty()
        settings = termios.tcgetattr(slave)
        settings[1] &= ~termios.OPOST
        settings[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        try:
            self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        except OSError as error:
            raise Wrong(f"cannot start {command[0]}: {error.strerror}") from error
        finally:
            os.close(slave)

    def deadline(self):
        return time.monotonic() + self.limit

    def more(self, deadline):
        """Waits for output; False when there can be no more."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise Wrong(f"nothing more within {self.limit} s")
        if not select.select([self.master], [], [], left)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the other end is closed
            data = b""
        if self.log:
            self.log.write(data)
            self.log.flush()
        self.seen += data
        self.history = (self.history + data)[-65536:]
        if b"Kernel panic" in self.seen:
            raise Wrong("the kernel panicked: process 1 died, or never started")
        return bool(data)

    def until(self, pattern, what):
        """What came before the first match of the pattern. The match and that are forgotten."""
        deadline = self.deadline()
        while True:
            match = self.found = re.search(pattern, self.seen)
            if match:
                before = self.seen[:match.start()]
                self.seen = self.seen[match.end():]
                return before
            try:
                if not self.more(deadline):
                    raise Wrong("the emulator ended")
            except Wrong as wrong:
                raise Wrong(f"{what}: {wrong}") from wrong

    def type(self, line):
        data = line.encode() + b"\n"
        while data:
            data = data[os.write(self.master, data):]

    def run(self, command):
        """Has the shell run a command: its output, and its exit code."""
        # The end mark is never typed as it is printed. The shell's echo comes before the output.
        self.type(f'{command}; echo "=""$?="')
        output = self.until(rb"=(\d+)=\r*\n", f"`{command}`")
        _, _, output = output.rpartition(b'"$?="')
        return output.replace(b"\r", b"").decode(errors="replace").strip(), int(self.found.group(1))

    def end(self):
        """Waits until the emulator is gone; its exit code."""
        deadline = self.deadline()
        while self.more(deadline):
            pass
        try:
            return self.process.wait(max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise Wrong("the emulator has closed its console and does not end") from error

    def tail(self):
        return "\n".join(self.history[-2000:].decode(errors="replace").replace("\r", "").split("\n")[-20:])

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self.master)


class Judge:
    """Tells what is found, with the seconds that it took."""

    def __init__(self):
        self.since = time.monotonic()
        self.failed = 0

    def say(self, is_well, text):
        now = time.monotonic()
        print(f"{now - self.since:9.1f}  {'ok' if is_well else 'FAIL':4}  {text}", flush=True)
        self.since = now
        self.failed += not is_well

    def command(self, console, command, what, silent=False, patience=0.0):
        """Is the command content, at once or within `patience` seconds?"""
        deadline = time.monotonic() + patience
        while True:
            output, code = console.run(command)
            is_well = code == 0 and not (silent and output)
            if is_well or time.monotonic() >= deadline:
                break
            console.run("sleep 1")
        said = ""
        if not is_well:
            said = f": `{command}` exited with {code}" + (f" and said {output[:300]!r}" if output else "")
        self.say(is_well, what + said)


def dialogue(console, judge, options):
    console.until(rb"\S+ login: ?", "no login prompt")
    judge.say(True, "the login prompt")
    console.type("root")
    # A prompt, and not the end of /etc/motd or of a kernel message: it is the last that came.
    console.until(rb"[#$] (?=$)", "root cannot log in")
    judge.say(True, "root is logged in")
    # Nothing over our lines, and these not wrapped.
    console.run("dmesg -n 1; stty columns 29999")
    judge.command(console, f"cmp /proc/1/exe {options.init}", f"process 1 is {options.init}")
    # The prompt may be there before the last service is.
    judge.command(console, "linchpin failed", "no service has failed", silent=True, patience=options.limit / 6)
    for command in options.run:
        judge.command(console, command, f"`{command}`")
    console.type("poweroff")
    if options.halts:
        console.until(rb"System halted|Power down|reboot: ", "poweroff")
        judge.say(True, "poweroff, to the kernel's last words")
        return
    try:
        code = console.end()
    except Wrong as wrong:
        raise Wrong(f"poweroff: {wrong}") from wrong
    judge.say(code == 0, f"poweroff ended the emulator, which exited with {code}")


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--limit", type=float, default=180)
    parser.add_argument("--log")
    parser.add_argument("--init", default="/sbin/init")
    parser.add_argument("--halts", action="store_true")
    parser.add_argument("--run", action="append", default=[])
    parser.add_argument("command", nargs="*")
    options = parser.parse_args()
    if options.help or not options.command:
        print(__doc__.strip())
        return 0 if options.help else 100
    judge, console, log = Judge(), None, None
    try:
        log = open(options.log, "wb") if options.log else None
        console = Console(options.command, log, options.limit)
        dialogue(console, judge, options)
    except Wrong as wrong:
        judge.say(False, str(wrong))
        if console:
            print("---\n" + console.tail() + "\n---")
    finally:
        if console:
            console.stop()
        if log:
            log.close()
    return 1 if judge.failed else 0


if __name__ == "__main__":
    sys.exit(main())
