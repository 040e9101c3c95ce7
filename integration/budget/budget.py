"""What a request may cost: system calls, allocations and instructions of all the broker's processes, against budgets.

These do not depend on how busy a machine is, so they can be held by a test where milliseconds cannot. Each load runs
against a broker of its own, beside one that does all but the load itself; the difference is the load's. Its size is
large enough that what a broker does by the clock counts for nothing.

budgets.conf has the figures. Who makes something cheaper lowers them; who makes it dearer says why in the commit.
BUDGET_SHOW=1 prints what was counted, by system call.
"""

import collections
import concurrent.futures
import os
import re
import shutil
import struct
import subprocess
import tempfile

from harness import patience, wire
from harness.broker import Broker
from harness.cases import Skip, case, eventually, note, run_cases

HERE = os.path.dirname(os.path.abspath(__file__))
FILES = os.environ["FILES"]  # what the suite has built; temporary
FETCHED_MB = 20


class Load:
    """What raw is told to do, so many times over, and how many units of work that is in all."""

    def __init__(self, units, arguments, times=1):
        self.units, self.arguments, self.times = units, arguments, times


ONE = ["produce", "-c", "1", "-i", "1", "-s", "1000", "-p", "1", "-T", "100"]  # one request in flight
LOADS = {
    "produce-one-acks-1": Load(300, [*ONE, "-m", "1", "-a", "1", "-M", "0.299"]),
    "produce-one-acks-all": Load(300, [*ONE, "-m", "1", "-a", "all", "-M", "0.299"]),
    "produce-batches": Load(20, [*ONE, "-m", "100", "-a", "1", "-M", "19.9"]),
    "fetch": Load(5 * FETCHED_MB, ["fetch", "-p", "1"], times=5),
}


class Wrapped(Broker):
    """A broker of one worker inside another program."""

    def __init__(self, wrapper, environment):
        # Valgrind has no room for a map of a terabyte.
        super().__init__(workers=1, options=["-o", "store.map.bytes=8589934592"])
        self.before = ["env", *environment, *wrapper]

    def command(self):
        return [*self.before, *super().command()]

    def start(self):
        """As Broker does, with more patience."""
        self.spawn()
        eventually(lambda: wire.answers(self.port), 60, "an answer from the broker")
        eventually(lambda: set(self.children()) == self.expected_children(), 60, "all processes")
        self.first_workers = self.worker_pids()
        return self


def broker_after(load, wrapper, environment=()):
    """Runs it, and what every broker here does: a topic to be written, one of FETCHED_MB to be read."""
    raw = os.path.join(FILES, "raw")
    with Wrapped(wrapper, environment) as broker:

        def client(what, topic, *arguments):
            subprocess.run([raw, what, "-b", broker.bootstrap, "-t", topic, *arguments], check=True,
                           stdout=subprocess.DEVNULL, timeout=120)  # fmt: skip

        client("create", "written", "-p", "1")
        client("create", "read", "-p", "1")
        client(*[ONE[0], "read", *ONE[1:]], "-m", "100", "-a", "1", "-M", str(FETCHED_MB - 0.1))
        if load is not None:
            topic = "read" if load.arguments[0] == "fetch" else "written"
            for _ in range(load.times):
                client(load.arguments[0], topic, *load.arguments[1:])


def system_calls_and_allocations(load):
    """({measure: how many}, {system call: how many}) of all processes of a broker from start to end."""
    with tempfile.TemporaryDirectory(dir=FILES) as folder:
        trace, counter = os.path.join(folder, "trace"), os.path.join(folder, "allocations")
        broker_after(
            load,
            ["strace", "-D", "-f", "-qq", "-o", trace, "-e", "signal=none"],
            [f"LD_PRELOAD={os.path.join(FILES, 'allocations.so')}", f"ALLOCATIONS={counter}"],
        )
        calls = collections.Counter()
        with open(trace, encoding="utf-8", errors="replace") as file:
            for line in file:
                found = re.match(r"\d+ +(\w+)\(", line)  # a call that another cut short ends in a line of its own
                if found:
                    calls[found.group(1)] += 1
        with open(counter, "rb") as file:
            allocations = struct.unpack("=Q", file.read(8))[0]
    return {"system-calls": sum(calls.values()), "allocations": allocations}, calls


def instructions(load):
    """The same for instructions, as Valgrind counts them."""
    with tempfile.TemporaryDirectory(dir=FILES) as folder:
        broker_after(
            load,
            ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={folder}/%p", f"--log-file={folder}/log.%p"],
        )
        total = 0
        for name in os.listdir(folder):
            if name.startswith("log."):
                continue
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("totals:"))
    return {"instructions": total}, collections.Counter()


def budgets():
    """{(load, measure): budget} from budgets.conf."""
    with open(os.path.join(HERE, "budgets.conf"), encoding="utf-8") as file:
        rows = [line.split() for line in file if line.strip() and not line.startswith("#")]
    return {(load, measure): float(budget) for load, measure, budget in rows}


def per_unit(counted, load):
    """Counts of the load alone for each of its units."""
    (with_it, calls), (without, calls_without) = counted[load], counted[None]
    unit = LOADS[load].units
    each = {name: (calls[name] - calls_without[name]) / unit for name in calls}
    if os.environ.get("BUDGET_SHOW"):
        note(", ".join(f"{name} {n:.2f}" for name, n in sorted(each.items()) if n >= 0.05))
    return {measure: (with_it[measure] - without[measure]) / unit for measure in with_it}


def hold(count, measures):
    """Runs every load, two at a time, and compares."""
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        counted = dict(zip([None, *LOADS], pool.map(count, [None, *LOADS.values()])))
    over, of = [], budgets()
    for load in LOADS:
        for measure, n in per_unit(counted, load).items():
            budget = of.pop((load, measure))
            note(f"{load}: {n:,.1f} {measure}, budget {budget:,.0f}")
            if n > budget:
                over.append(f"{load} takes {n:,.1f} {measure} a unit, its budget is {budget:,.0f}")
    left = [f"{load} {measure}" for load, measure in of if measure in measures]
    if over or left:
        raise AssertionError("; ".join(over + [f"{name} is in budgets.conf but was not measured" for name in left]))


def needs(program, *harmless):
    if shutil.which(program) is None:
        raise Skip(f"{program} is not on this machine (Debian, Ubuntu: apt-get install {program})")
    tried = subprocess.run([program, *harmless], capture_output=True, text=True)
    if tried.returncode != 0:
        raise Skip(f"{program} does not work here: {tried.stderr.strip()}")
    if patience.sanitized():
        raise Skip("a sanitized program does more than it has to")


@case("system calls and allocations stay within their budgets", timeout_s=120)
def calls_and_memory():
    needs("strace", "-f", "-o", "/dev/null", "true")
    hold(system_calls_and_allocations, ["system-calls", "allocations"])


@case("instructions stay within their budgets", timeout_s=240)
def work():
    needs("valgrind", "-q", "true")
    hold(instructions, ["instructions"])


if __name__ == "__main__":
    run_cases()
