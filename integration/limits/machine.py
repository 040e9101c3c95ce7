"""What a machine runs short of: disks of a few megabytes, limits of a process, a disk that is slow.

A suite is put into a mount namespace of its own (own_mounts), so that no disk outlives it, however it ends.
"""

import contextlib
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

from harness import patience
from harness.broker import Broker
from harness.cases import Skip

HERE = os.path.dirname(os.path.abspath(__file__))


def own_mounts():
    """Go on in a mount namespace of our own: as root, or as a user who may make namespaces. Else disks are skipped."""
    if os.environ.get("LIMITS_MOUNTS"):
        return
    for flags in (["-m"], ["-rm"]):
        if subprocess.run(["unshare", *flags, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0:
            os.environ["LIMITS_MOUNTS"] = "yes"
            os.execvp("unshare", ["unshare", *flags, sys.executable, *sys.argv])
    os.environ["LIMITS_MOUNTS"] = "no"


def _mount(*arguments):
    if os.environ.get("LIMITS_MOUNTS") != "yes":
        raise Skip("nothing may be mounted here (needs root, or user namespaces)")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Skip(f"mount {' '.join(arguments)}: {done.stderr.strip()}")


@contextlib.contextmanager
def disk(kind, megabytes):
    """A folder that is a file system of this size: tmpfs or ext4."""
    folder = tempfile.mkdtemp(prefix="disk-")
    image = folder + ".img"
    try:
        if kind == "tmpfs":
            _mount("-t", "tmpfs", "-o", f"size={megabytes}m", "none", folder)
        else:
            mkfs = shutil.which("mkfs.ext4") or shutil.which("/sbin/mkfs.ext4")
            if not mkfs:
                raise Skip("no mkfs.ext4 on this machine")
            with open(image, "wb") as file:
                file.truncate(megabytes << 20)
            subprocess.run([mkfs, "-q", "-m", "0", image], check=True)
            _mount("-o", "loop", image, folder)
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], capture_output=True, check=False)
        with contextlib.suppress(OSError):
            os.rmdir(folder)
            os.remove(image)


def fill_up(folder):
    """Take all that is left of the disk."""
    block = bytes(1 << 20)
    with open(os.path.join(folder, "ballast"), "ab", buffering=0) as file:
        while block:
            try:
                if file.write(block) < len(block):
                    raise OSError
            except OSError:
                block = block[: len(block) // 2]


def give_back(folder):
    os.remove(os.path.join(folder, "ballast"))


class Limited(Broker):
    """A broker below a limit: wrap is put before its command line."""

    def __init__(self, wrap=(), log_path=None, **more):
        super().__init__(**more)
        self.wrap = list(wrap)
        self.log_path = log_path or self.log_path

    def command(self):
        return [*self.wrap, *super().command()]

    def ends_by_itself(self, timeout_s=10):
        """Start it, where it cannot live: (exit status, log)."""
        self.spawn()
        try:
            status = self.process.wait(timeout_s * patience.factor())
        finally:
            self.process.kill()
        log = self.log()
        self.remove()
        return status, log


class SlowDisk:
    """The library of slow_disk.c, and the orders that it follows."""

    def __init__(self):
        if patience.sanitized():
            raise Skip("a sanitizer's own library must come before ours")
        self.folder = tempfile.mkdtemp(prefix="slow-")
        self.library = os.path.join(self.folder, "slow_disk.so")
        self.path = os.path.join(self.folder, "orders")
        source = os.path.join(HERE, "slow_disk.c")
        compiler = os.environ.get("CC") or "gcc"
        subprocess.run(
            [*compiler.split(), "-D_GNU_SOURCE", "-shared", "-fPIC", "-O1", "-o", self.library, source, "-ldl"], check=True
        )
        self.order()

    def order(self, fdatasync_us=0, write_us=0, no_fork=0):
        with open(self.path, "r+b" if os.path.exists(self.path) else "w+b") as file:
            file.write(struct.pack("III", fdatasync_us, write_us, no_fork))

    def wrap(self):
        return ["env", f"LD_PRELOAD={self.library}", f"SLOW_DISK={self.path}"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)


def pages(data):
    """(pages of the store's file, those of them that are free)."""
    if not shutil.which("mdb_stat"):
        raise Skip("mdb_stat (lmdb-utils) has to look into the store")
    told = subprocess.run(["mdb_stat", "-ef", data], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"pages used: (\d+)", told)[1]), int(re.search(r"Free pages: (\d+)", told)[1])


def cpu_s(pid):
    """Processor time that the process has used."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        words = file.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
