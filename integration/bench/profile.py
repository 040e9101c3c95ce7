#!/usr/bin/python3
"""Where the broker's processes spend their CPU time: what it goes to, in percent, under four loads.

    integration/bench/profile.py    a broker of its own for each; BROKER names the program, BENCH_BIN the load generators

Needs perf. A sample belongs to the first line of WHERE that names a function in its call chain (so the kernel's work for a
system call is that call's); else to the library or program that it was taken in. The loads are light clients' (raw.c),
so that the broker is what is busy.
"""

import collections
import os
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

from harness import procs  # noqa: E402
from harness.broker import Broker  # noqa: E402

RAW = os.path.join(os.environ.get("BENCH_BIN", os.path.join(HERE, "..", "..", "build", "bench")), "raw")
BATCHES = ["-s", "1000", "-m", "100", "-T", "3", "-M", "2000"]
LOADS = (
    ("produce, batches of 100 KB, relaxed", "relaxed", ["produce", *BATCHES, "-a", "all"]),
    ("produce, batches of 100 KB, durable", "durable", ["produce", *BATCHES, "-a", "all"]),
    ("produce, 100 B a request, durable", "durable", ["produce", "-s", "100", "-m", "1", "-c", "16", "-i", "4", "-T", "3"]),
    ("fetch", "durable", ["fetch"]),
)
WHERE = (
    ("disk: fdatasync", ("fdatasync",)),
    ("socket: receive", ("sys_recvfrom", "sys_recvmsg", "tcp_recvmsg", "__libc_recv")),
    ("socket: send, and TCP", ("sys_sendmsg", "sys_sendto", "tcp_sendmsg", "net_rx_action", "__libc_sendmsg")),
    ("page cache: pwrite", ("sys_pwrite", "ext4_", "generic_perform_write", "copy_folio_from_iter", "filemap_")),
    ("page faults of the map", ("exc_page_fault",)),
    ("waiting and waking", ("epoll_", "eventfd_", "futex", "sys_write", "sys_read", "schedule")),
)
PARTS = (
    ("CRC-32C", "libisal"),
    ("LMDB", "liblmdb"),
    ("memory: copied, compared, allocated", "libc"),
    ("event loop", "libev"),
    ("our own code", "/broker"),
)
KERNEL = "the kernel besides"


def spent_on(chain):
    """chain: perf's lines of one sample, innermost first: address, function, (object)."""
    text = " ".join(chain)
    for name, functions in WHERE:
        if any(function in text for function in functions):
            return name
    return next((name for name, part in PARTS if part in chain[0]), KERNEL)


def samples(data):
    script = subprocess.run(
        ["perf", "script", "-i", data, "-F", "ip,sym,dso"], stdout=subprocess.PIPE, text=True, errors="replace", check=True
    )
    for sample in script.stdout.split("\n\n"):
        chain = [line for line in sample.splitlines() if line.strip()]
        if chain:
            yield chain


def run(broker, *arguments):
    command = [RAW, arguments[0], "-b", broker.bootstrap, "-t", "profile", "-p", "4", *arguments[1:]]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def profile(durability, load, data):
    with Broker(workers=2, options=["-o", f"durability={durability}"]) as broker:
        run(broker, "create")
        if load[0] == "fetch":
            run(broker, "produce", *BATCHES)
        pids = ",".join(map(str, procs.children(broker.pid).values()))
        perf = ["perf", "record", "-q", "-g", "-F", "1999", "-p", pids, "-o", data]
        with subprocess.Popen(perf) as recording:
            for _ in range(5 if load[0] == "fetch" else 1):
                run(broker, *load)
            recording.send_signal(signal.SIGINT)
    return collections.Counter(spent_on(chain) for chain in samples(data))


def main():
    if not shutil.which("perf"):
        sys.exit("profile: no perf on this machine (Debian: linux-perf)")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for _, durability, load in LOADS:
            found.append(profile(durability, load, os.path.join(folder, "perf.data")))
    print("| CPU time of the broker's processes | " + " | ".join(name for name, _, _ in LOADS) + " |")
    print("|---|" + "--:|" * len(LOADS))
    for name in [name for name, _ in WHERE] + [name for name, _ in PARTS] + [KERNEL]:
        print(f"| {name} | " + " | ".join(f"{100 * one[name] / max(1, one.total()):.0f}%" for one in found) + " |")


if __name__ == "__main__":
    main()
