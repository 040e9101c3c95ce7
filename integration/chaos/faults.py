"""The named points of the code (common/faultpoint.h) in a broker that was built for tests: who passed, and who shall die there."""

import mmap
import os
import signal
import struct
import subprocess
import tempfile

from harness.cases import equal

BYTES = 65536
ROW = struct.Struct("=40sQiiii")  # name, passed, countdown, signal, pid, unused
AIM = struct.Struct("=iii")  # of it: countdown, signal, pid
AT_PASSED, AT_AIM = 40, 48


def program():
    """The broker that has the points; built now, if need be."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    build = os.path.abspath(os.path.join(root, os.environ.get("BUILD") or "build", "faults"))
    # Not the flags of a make that may have called us: they are for the other program.
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "BUILD")}
    command = ["make", "-s", "-C", root, f"-j{os.cpu_count()}", "FAULTS=1", f"BUILD={build}", f"{build}/broker"]
    made = subprocess.run(command, env=environment, capture_output=True, text=True)
    equal(made.returncode, 0, f"{' '.join(command)}: {made.stdout[-500:]}{made.stderr[-500:]}")
    return os.path.join(build, "broker")


class Faults:
    def __init__(self):
        with tempfile.NamedTemporaryFile(prefix="forka-faults-", delete=False) as file:
            file.truncate(BYTES)
            self.path = file.name
            self.map = mmap.mmap(file.fileno(), BYTES)

    def environment(self):
        return {**os.environ, "FORKA_FAULTS": self.path}

    def rows(self):
        """{name: offset}; all are there as soon as the broker has passed one."""
        found = {}
        for at in range(0, BYTES, ROW.size):
            name = self.map[at : at + AT_PASSED].rstrip(b"\0").decode()
            if not name:
                return found
            assert name not in found, f"two points are named {name}"
            found[name] = at
        return found

    def passed(self, name):
        return struct.unpack_from("=Q", self.map, self.rows()[name] + AT_PASSED)[0]

    def aim(self, name, countdown, with_signal=signal.SIGKILL):
        """Whoever passes there the countdown-th time from now on is hit."""
        at = self.rows()[name] + AT_AIM
        AIM.pack_into(self.map, at, 0, with_signal, 0)
        struct.pack_into("=i", self.map, at, countdown)

    def hit(self, name):
        """The pid of whoever was hit since aim(); None: nobody yet."""
        _, _, pid = AIM.unpack_from(self.map, self.rows()[name] + AT_AIM)
        return pid or None

    def remove(self):
        self.map.close()
        os.unlink(self.path)
