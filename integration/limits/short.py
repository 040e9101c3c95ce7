"""Descriptors, address space, processes: too few of them to begin with, or in the middle of the work."""

import os
import signal
import socket
import struct
import time

import frames
import machine
from harness import patience, procs
from harness.cases import case, equal, eventually, note
from harness.wire import API_VERSIONS, METADATA, Connection
from log import Log
from machine import Limited, cpu_s

MB = 1 << 20


def is_served(connection):
    try:
        return connection.ask(API_VERSIONS, 0)[:2] == b"\0\0"
    except (OSError, EOFError):
        return False


def crowd(broker, n, **more):
    """So many connections, those that are served and how many were not."""
    held = [Connection(broker.port, **more) for _ in range(n)]
    served = [c for c in held if is_served(c)]
    for c in held:
        if c not in served:
            c.close()
    return served, n - len(served)


def close(connections):
    for c in connections:
        c.close()


def wait_for_places(broker, n, **more):
    """As many places as that are free again (the workers have seen that clients went)."""

    def there_are():
        served, _ = crowd(broker, n, **more)
        close(served)
        return len(served) == n

    eventually(there_are, 10, f"{n} clients are served again", 0.05)


# --- descriptors ----------------------------------------------------------------------------------------------------


@case("too few descriptors (RLIMIT_NOFILE): those beyond are closed, others live, it is said once, nothing spins", 40)
def few_descriptors():
    with Limited(workers=2, wrap=["prlimit", "--nofile=140"]) as broker:
        served, refused = crowd(broker, 200)
        note(f"{len(served)} of 200 clients served by two workers with 140 descriptors each")
        assert len(served) >= 60 and refused >= 20, (len(served), refused)
        before = cpu_s(broker.pid)
        ends = time.monotonic() + 1
        while time.monotonic() < ends:
            assert all(is_served(c) for c in served[:10]), "a client that was there before is no longer served"
        spent = cpu_s(broker.pid) - before
        assert spent < 0.3, f"the supervisor used {spent} s of a second"
        said = [line for line in broker.log().splitlines() if "descriptor" in line]
        assert len(said) == 1 and "ulimit -n" in said[0], said
        Log(broker_with(served[0], broker), "t").append()  # a store that opens nothing is not in need
        close(served[1:])
        wait_for_places(broker, 40)


class broker_with:
    """For Log: a connection that is there already."""

    def __init__(self, connection, broker):
        self.connection, self.port = connection, broker.port

    def connect(self, **_):
        return self.connection


@case("hardly any descriptors: a clear message, status 1", 20)
def hardly_any_descriptors():
    status, log = Limited(workers=4, wrap=["prlimit", "--nofile=40"]).ends_by_itself()
    equal(status, 1, f"exit status; it said\n{log}")
    assert "too few file descriptors (ulimit -n) limit=40" in log, log


# --- address space --------------------------------------------------------------------------------------------------


@case("no address space for the map (RLIMIT_AS): a clear message, status 1", 20)
def no_map():
    if patience.sanitized():
        raise machine.Skip("a sanitizer needs terabytes of address space")
    status, log = Limited(workers=1, wrap=["prlimit", f"--as={600 * MB}"]).ends_by_itself()
    equal(status, 1, f"exit status; it said\n{log}")
    assert "lower store.map.bytes" in log, log


@case("no memory for requests of 100 MB (RLIMIT_AS): their clients are told so, the worker lives, others are served", 60)
def no_memory():
    if patience.sanitized():
        raise machine.Skip("a sanitizer needs terabytes of address space")
    options = ["-o", "store.map.bytes=16777216"]
    with Limited(workers=1, wrap=["prlimit", f"--as={700 * MB}"], options=options) as broker:
        good, log = Connection(broker.port), Log(broker, "t")
        big = [Connection(broker.port) for _ in range(4)]
        head = struct.pack(">i", 100 * MB) + frames.header(frames.PRODUCE, 7)
        sent = {c: 0 for c in big}
        for c in big:
            c.socket.setblocking(False)
            c.socket.send(head)
        block, ends = bytes(MB), time.monotonic() + 20 * patience.factor()
        while sent and time.monotonic() < ends and "there is no memory for its request" not in broker.log():
            for c in list(sent):
                try:
                    sent[c] += c.socket.send(block)
                except BlockingIOError:
                    pass
                except OSError:
                    del sent[c]
            assert is_served(good), "the good client's connection is gone"
        assert "there is no memory for its request" in broker.log(), f"{sent.values()} bytes were taken"
        close(big)
        equal(log.append(), 0, "Produce")
        log.check()
        assert is_served(good)


# --- processes --------------------------------------------------------------------------------------------------------


@case("no process can be forked: tried again with growing pauses, others serve; then it is back", 30)
def no_fork():
    with machine.SlowDisk() as system, Limited(workers=2, wrap=system.wrap()) as broker:
        broker.expect_deaths()
        system.order(no_fork=1)
        os.kill(broker.worker_pids()["worker-0"], signal.SIGKILL)
        said = lambda: broker.log().count("process cannot be started")  # noqa: E731
        eventually(lambda: said() >= 4, 10, "four attempts")  # at 0, 0, 100, 300 ms
        began = time.monotonic()
        eventually(lambda: said() >= 5, 10, "a fifth")
        assert time.monotonic() - began > 0.25, "the pauses do not grow"
        with broker.connect() as c:
            assert is_served(c)
        system.order(no_fork=0)
        eventually(lambda: "worker-0" in broker.worker_pids(), 15, "worker-0 is back")


# --- connections per address ------------------------------------------------------------------------------------------


def from_address(broker, address):
    connection = Connection.__new__(Connection)
    connection.socket = socket.create_connection((address, broker.port), timeout=10, source_address=(address, 0))
    connection.correlation = 0
    return connection


def served_of(broker, address, n):
    """(connections that are served, how many were closed) of n from this address."""
    held = [from_address(broker, address) for _ in range(n)]
    served = [c for c in held if is_served(c)]
    close(c for c in held if c not in served)
    return served, n - len(served)


@case("max.connections.per.ip and its overrides: each address has its own limit, IPv6 too", 30)
def per_address():
    six = procs.has_ipv6()
    port = procs.free_port()
    listeners = f"A://127.0.0.1:{port},B://127.0.0.3:{port}" + (f",C://[::1]:{port}" if six else "")
    more = ["-o", f"listeners={listeners}", "-o", "max.connections.per.ip=5",
            "-o", "max.connections.per.ip.overrides=127.0.0.3:2,::1:3"]  # fmt: skip
    with Limited(workers=3, port=port, options=more) as broker:
        first = []

        def five_of_eight():  # once those with which the harness has asked whether it is there are gone
            close(first)
            first[:], refused = served_of(broker, "127.0.0.1", 8)
            return (len(first), refused) == (5, 3)

        eventually(five_of_eight, 10, "127.0.0.1 has 5 places")
        other, refused = served_of(broker, "127.0.0.3", 4)
        equal((len(other), refused), (2, 2), "127.0.0.3, limit 2")
        if six:
            third, refused = served_of(broker, "::1", 5)
            equal((len(third), refused), (3, 2), "::1, limit 3")
            close(third)
        said = [line for line in broker.log().splitlines() if "max.connections.per.ip reached" in line]
        equal(len(said), 1, "lines about it")
        first.pop().close()
        eventually(lambda: len(took := served_of(broker, "127.0.0.1", 1)[0]) == 1 and not first.append(took[0]), 5, "a place")
        equal(served_of(broker, "127.0.0.1", 2), ([], 2), "127.0.0.1 once more")
        close(first + other)


@case("workers die in the middle of a storm of connections: no place is lost or won", 60)
def counts_after_deaths():
    with Limited(workers=3, options=["-o", "max.connections.per.ip=20", "-o", "max.connections=40"]) as broker:
        broker.expect_deaths()
        for i in range(12):
            held = [Connection(broker.port) for _ in range(15)]
            victim = sorted(broker.worker_pids().items())[i % 2]  # never the third: somebody always serves
            os.kill(victim[1], signal.SIGKILL)
            held += [Connection(broker.port) for _ in range(5)]
            close(held)
            eventually(lambda v=victim: broker.children().get(v[0], v[1]) != v[1], 15, f"{victim[0]} is back")

        def places():
            served, _ = crowd(broker, 25)
            close(served)
            return len(served) == 20

        eventually(places, 15, "exactly 20 of 25 are served", 0.05)
