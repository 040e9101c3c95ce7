"""One run of the benchmark: where its figures go, and how one of them is taken.

A figure is one line of JSON in the results file: what was measured (load, client, size, producers, partitions, flight,
codec), on what (peer, durability, round), and what came out (mb_per_s, p99_ms, broker_cpu_s_per_gb, ...; or error).
Lines are written as they come about, so a run that is cut off leaves what it has.
"""

import contextlib
import json
import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass

from brokers import Watch, java
from threads import Threads

LOAD_TIMEOUT_S = 320
LOOK_EVERY_S = 0.05  # at the client's threads
SETTLE_S = 60  # at most
QUIET_CPU = 0.05  # of a processor, by which a broker with nothing to do is known
QUIET_DISK = 0.05  # of the time, that a disk which nobody needs is busy with something


class Failed(Exception):
    """A load did not end well; the text says how."""


class Session:
    def __init__(self, profile, programs, jars, results):
        self.profile = profile
        self.programs = programs
        self.jars = jars
        self.results = results
        self.round = 0
        self.brokers = []
        self.topics = 0

    # --- results ---------------------------------------------------------------------------------------------

    def write(self, record):
        with open(self.results, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def keep(self, broker, what, figures):
        """what: the load's description; figures: what came out of it."""
        record = {"round": self.round, "peer": broker.name, "durability": broker.durability, **what, **figures}
        self.write(record)
        print(describe(record), flush=True)

    # --- running loads ---------------------------------------------------------------------------------------

    def program(self, name, *arguments):
        return [os.path.join(self.programs, name), *map(str, arguments)]

    def run(self, command, environment=None):
        """(standard output, Used by the command). Raises Failed."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen(
                command, stdout=out, stderr=err, stdin=subprocess.DEVNULL, env={**os.environ, **(environment or {})}
            )
            used = wait(process, LOAD_TIMEOUT_S)
            out.seek(0)
            err.seek(0)
            said, complained = out.read(), err.read()
        if process.returncode != 0:
            raise Failed(f"{os.path.basename(command[0])} status {process.returncode}: {(said + complained)[-300:]}")
        return said, used

    def key_values(self, name, *arguments, environment=None):
        """Run one of our generators; its line as a dictionary."""
        return parse_key_values(self.run(self.program(name, *arguments), environment)[0])

    def measure(self, broker, what, command, parse):
        """Run a client against the broker and keep what it says, with what both used. Returns the figures, or None."""
        self.settle()
        began = time.monotonic()
        try:
            with Watch(broker) as watch:
                said, client = self.run(command)
            figures = parse(said)
        except (Failed, ValueError) as failed:
            self.keep(broker, what, {"error": str(failed)})
            return None
        wall_s = time.monotonic() - began
        figures["broker_busy"] = watch.cpu_s / wall_s
        figures["client_busy"] = client.cpu_s / wall_s
        if client.busiest_thread is not None:
            figures["client_thread_busy"] = client.busiest_thread
        figures["own_mb"] = watch.own_mb
        gb = figures.get("messages", 0) * what["size"] / 1e9
        if gb > 0:
            figures["broker_cpu_s_per_gb"] = watch.cpu_s / gb
            figures.setdefault("client_cpu_s_per_gb", client.cpu_s / gb)
            figures["broker_cpu_us_per_message"] = watch.cpu_s / figures["messages"] * 1e6
        self.keep(broker, what, figures)
        return figures

    def java(self, main, *arguments):
        return java(self.jars, main, *map(str, arguments))

    def settle(self):
        """
        Wait until nobody works off what the load before has left: pages to write, files to delete, which Kafka
        begins a second after it was asked to (brokers.py).
        """
        if not self.brokers:
            return
        folder, quiet = self.brokers[0].folder, 0
        subprocess.run(["sync", "-f", folder], check=False)
        deadline = time.monotonic() + SETTLE_S
        while quiet < 6 and time.monotonic() < deadline:
            cpu, disk = [broker.cpu_s() for broker in self.brokers], disk_busy_s(folder)
            time.sleep(0.2)
            used = [broker.cpu_s() - was for broker, was in zip(self.brokers, cpu)]
            is_quiet = all(s < QUIET_CPU * 0.2 + 0.01 for s in used) and disk_busy_s(folder) - disk < QUIET_DISK * 0.2
            quiet = quiet + 1 if is_quiet else 0

    @contextlib.contextmanager
    def topic(self, broker, partitions):
        self.topics += 1
        name = f"bench-{os.getpid()}-{self.topics}"
        self.run(self.program("raw", "create", "-b", broker.bootstrap, "-t", name, "-p", partitions))
        yield name
        self.run(self.program("raw", "delete", "-b", broker.bootstrap, "-t", name))


def disk_busy_s(folder):
    """For how long the disk below a folder was ever busy; 0 where the file system is on none."""
    device = os.stat(folder).st_dev
    try:
        with open(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat", encoding="ascii") as file:
            return int(file.read().split()[9]) / 1e3
    except FileNotFoundError:
        return 0


@dataclass(frozen=True)
class Used:
    cpu_s: float
    busiest_thread: float  # the share of the time in which it had something to do; None: not known


def wait(process, timeout_s):
    """What a child has Used that has ended; one that does not end in time is killed."""
    threads, next_look = Threads(process.pid), 0.0
    deadline = time.monotonic() + timeout_s
    while True:
        now = time.monotonic()
        if now >= next_look:
            threads.look(now)
            next_look = now + LOOK_EVERY_S
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return Used(usage.ru_utime + usage.ru_stime, threads.busiest())
        if now > deadline:
            process.kill()
            deadline = float("inf")
        time.sleep(0.005)


# ---- What clients print -----------------------------------------------------------------------------------------


def parse_key_values(line):
    """key=value ..., as our generators print it."""
    found = dict(word.split("=", 1) for word in line.split() if "=" in word)
    return {key: float(value) for key, value in found.items() if re.fullmatch(r"-?[0-9.]+", value)}


def parse_java_producer(size):
    """The last line of ProducerPerformance; its MB are of 2^20 bytes, so the records are counted."""

    def parse(said):
        last = [line for line in said.splitlines() if "99.9th" in line][-1:]
        if not last:
            raise ValueError(f"ProducerPerformance says no result: {said[-200:]}")
        sent, rate = re.search(r"(\d+) records sent, ([0-9.]+) records/sec", last[0]).groups()
        p50, p99 = (re.search(rf"(\d+) ms {nth}", last[0]).group(1) for nth in ("50th", "99th"))
        rates = {"messages": int(sent), "msgs_per_s": float(rate), "mb_per_s": float(rate) * size / 1e6}
        return {**rates, "p50_ms": float(p50), "p99_ms": float(p99)}

    return parse


def parse_java_consumer(size):
    """ConsumerPerformance's table: the rates beside fetch.time are without the time until the group was ready."""

    def parse(said):
        lines = [line for line in said.splitlines() if line.count(",") >= 9]
        if len(lines) < 2:
            raise ValueError(f"ConsumerPerformance says no result: {said[-200:]}")
        row = dict(zip((word.strip() for word in lines[0].split(",")), lines[-1].split(",")))
        rate = float(row["fetch.nMsg.sec"])
        return {"messages": int(row["data.consumed.in.nMsg"]), "msgs_per_s": rate, "mb_per_s": rate * size / 1e6}

    return parse


def parse_java_latency(said):
    """EndToEndLatency: the mean is exact, percentiles are cut to whole milliseconds."""
    mean = re.search(r"Avg latency: ([0-9.]+) ms", said)
    rest = re.search(r"50th = (\d+), 99th = (\d+), 99.9th = (\d+)", said)
    if not mean or not rest:
        raise ValueError(f"EndToEndLatency says no result: {said[-200:]}")
    return {"mean_ms": float(mean.group(1)), "p99_whole_ms": float(rest.group(2))}


# ---- In words --------------------------------------------------------------------------------------------------

MAIN_FIGURES = ("mb_per_s", "msgs_per_s", "mean_ms", "p50_ms", "p99_ms", "ms", "mb", "own_mb")


def describe(record):
    figures = " ".join(f"{key}={record[key]:.4g}" for key in MAIN_FIGURES if key in record)
    cpu = f" cpu_s_per_gb={record['broker_cpu_s_per_gb']:.2f}" if "broker_cpu_s_per_gb" in record else ""
    busy = f" busy={record['client_busy']:.1f}+{record['broker_busy']:.1f}" if "broker_busy" in record else ""
    if "client_thread_busy" in record:
        busy += f" client_thread_busy={record['client_thread_busy']:.0%}"
    which = [str(record[key]) for key in ("load", "client", "size", "producers", "partitions", "codec") if record.get(key)]
    what = record.get("error") or figures + cpu + busy
    return f"  {record['round']} {record['peer']:6} {record['durability']:8} {' '.join(which):44} {what}"
