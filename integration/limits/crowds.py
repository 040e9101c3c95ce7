"""Clients that hold what they can: half requests, answers that they do not read, a snapshot of the store."""

import os
import re
import select
import signal
import socket
import struct
import time

import frames
import machine
from frames import FETCH, METADATA, PRODUCE, frame, header
from harness import patience, procs
from harness.cases import case, equal, eventually, note
from harness.wire import API_VERSIONS, Connection
from log import SIZE, Log, batches
from machine import Limited

MB = 1 << 20
QUEUED = 64 * MB  # queued.max.request.bytes: half for requests, half for answers


def one_worker(*options):
    return Limited(workers=1, options=["-o", f"queued.max.request.bytes={QUEUED}", *options])


class Neighbour:
    """A client of the same worker that does nothing wrong, and what it finds."""

    def __init__(self, broker):
        self.broker, self.pid = broker, broker.worker_pids()["worker-0"]
        self.log = Log(broker, "neighbour")
        self.log.append()
        self.longest_s = 0.0
        self.before_kb = self.most_kb = self.memory_kb()

    def memory_kb(self):
        return procs.resident_besides_kb(self.pid, self.broker.data)

    def works(self):
        began = time.monotonic()
        equal(self.log.append(), 0, "a neighbour's Produce")
        equal(self.log.connection.ask(API_VERSIONS, 0)[:2], b"\0\0", "ApiVersions")
        self.longest_s = max(self.longest_s, time.monotonic() - began)
        self.most_kb = max(self.most_kb, self.memory_kb())

    def judge(self, most_mb, most_s):
        grown = (self.most_kb - self.before_kb) / 1024
        note(f"the worker grew by {grown:.0f} MB, a neighbour waited for {self.longest_s * 1e3:.0f} ms at most")
        assert self.longest_s < most_s * patience.factor(), f"a neighbour waited for {self.longest_s:.1f} s"
        if not patience.sanitized():
            assert grown < most_mb, f"the worker grew by {grown:.0f} MB, more than {most_mb}"
        equal(self.broker.worker_pids()["worker-0"], self.pid, "the worker")


def connections(broker, n, receive_bytes=None):
    held = []
    for _ in range(n):
        c = Connection.__new__(Connection)
        c.socket = socket.socket()
        if receive_bytes:
            c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        c.socket.connect(("127.0.0.1", broker.port))
        c.socket.setblocking(False)
        held.append(c)
    return held


def push(c, data):
    """How many bytes the kernel took; a connection that was closed takes none."""
    try:
        return c.socket.send(data)
    except OSError:
        return 0


def close(held):
    for c in held:
        c.close()


def half(size, sent):
    """The beginning of a request of this size."""
    return (struct.pack(">i", size) + header(PRODUCE, 7) + bytes(sent))[:sent]


@case("1,000 clients that begin a request of 1 MB and go on byte by byte: they hold what they have sent, others are served", 60)
def lorises():
    with one_worker() as broker:
        neighbour = Neighbour(broker)
        held = connections(broker, 1000)
        for c in held:
            push(c, half(MB, 2000))
        ends = time.monotonic() + 4
        while time.monotonic() < ends:
            for c in held:
                push(c, b"x")
            neighbour.works()
        # Before memory is tight (a quarter of the budget) each is trusted; then it is 4 KB each.
        neighbour.judge(most_mb=QUEUED / MB * 0.75, most_s=5)
        assert all(is_open(c) for c in held[::50]), "one that goes on was closed, though there was memory"
        close(held)


@case("memory is short, and 200 clients say three bytes of a request and no more: whoever comes then does not wait for them", 30)
def three_bytes():
    with Limited(workers=1, options=["-o", f"queued.max.request.bytes={16 * MB}"]) as broker:
        neighbour = Neighbour(broker)
        held = connections(broker, 20)
        for c in held:
            push(c, half(4 * MB, 900_000))
        neighbour.works()
        few = connections(broker, 200)
        for c in few:
            push(c, b"\0\0\0")
        ends = time.monotonic() + 1
        while time.monotonic() < ends:
            for c in held:
                push(c, bytes(100))
            with Connection(broker.port) as newcomer:
                newcomer.ask(API_VERSIONS, 0)
            neighbour.works()
        neighbour.judge(most_mb=16, most_s=1)
        assert all(is_open(c) for c in few), "those that said three bytes were closed at once"
        close(held + few)


def is_open(c):
    try:
        return c.socket.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


@case("1,000 clients with half of a request of 10 MB, then a byte a second: memory has a bound, others are served", 90)
def halves():
    with one_worker() as broker:
        neighbour = Neighbour(broker)
        held = connections(broker, 1000)
        block = bytes(MB // 4)
        for c in held:
            push(c, half(10 * MB, 1000))
        sent, ends = 0, time.monotonic() + 10
        left = {c: 5 * MB for c in held}
        while time.monotonic() < ends:
            _, ready, _ = select.select([], [c.socket for c in held if c.socket.fileno() < 1000][:900], [], 0)
            for c in held[:: max(1, len(held) // 100)] if not ready else held:
                if left[c] > 0:
                    took = push(c, block[: left[c]])
                    left[c] -= took
                    sent += took
            neighbour.works()
        note(f"{sent / MB:.0f} MB sent and taken by the kernel or the worker")
        # Half the budget, the head of the queue's request, which is moved as it grows, and what each connection costs.
        neighbour.judge(most_mb=QUEUED / MB / 2 + 3 * 10 + 8, most_s=5)
        close(held)


@case("50 clients with pipelines of great Produces, in memory for two or three of them: all are served, nobody is cut off", 30)
def pipelines():
    with Limited(workers=1, options=["-o", f"queued.max.request.bytes={MB}"]) as broker:
        Log(broker, "t")
        body = frames.produce_body("t", batches()[0])
        out = b"".join(frame(header(PRODUCE, 7, i) + body) for i in range(4))
        left = {c: out for c in connections(broker, 50)}
        clients, ends = list(left), time.monotonic() + 10 * patience.factor()
        while left:
            assert time.monotonic() < ends, f"{len(left)} of 50 have not sent all"
            _, ready, _ = select.select([], [c.socket for c in left], [], 1)
            for c in [c for c in left if c.socket in ready]:
                left[c] = left[c][c.socket.send(left[c][: 1 << 16]) :]
                if not left[c]:
                    del left[c]
        for c in clients:
            c.socket.settimeout(10)
            equal([c.receive()[0] for _ in range(4)], [0, 1, 2, 3], "the answers' order")
        assert "no memory left" not in broker.log()
        close(clients)


@case("200 clients that ask again and again and read nothing: memory has a bound, others are served", 60)
def deaf():
    with one_worker() as broker:
        neighbour = Neighbour(broker)
        log = Log(broker, "much")
        for _ in range(20):
            log.append()
        ask = b"".join(frame(header(FETCH, 7, i) + frames.fetch_body("much", 0, partition_bytes=8 * MB)) for i in range(100))
        held = connections(broker, 200, receive_bytes=4096)
        for c in held:
            push(c, ask)
        ends = time.monotonic() + 3
        while time.monotonic() < ends:
            neighbour.works()
        # Half the budget is for answers, in buffers that double; a quarter for calls.
        neighbour.judge(most_mb=QUEUED / MB * 1.25, most_s=5)
        close(held)


@case("endless pipelines of tiny requests whose answers nobody reads: memory has a bound, others are served", 60)
def tiny():
    with one_worker() as broker:
        neighbour = Neighbour(broker)
        many = b"".join(frame(header(API_VERSIONS, 0, i)) for i in range(5000))
        held = connections(broker, 100, receive_bytes=4096)
        sent, ends = 0, time.monotonic() + 3
        while time.monotonic() < ends:
            for c in held:
                sent += push(c, many)
            neighbour.works()
        note(f"{sent / MB:.1f} MB of requests")
        neighbour.judge(most_mb=QUEUED / MB * 0.75, most_s=5)
        close(held)


@case("half a request, then silence: closed after connections.max.idle.ms; one that goes on is not", 30)
def idle():
    with one_worker("-o", "connections.max.idle.ms=1000") as broker:
        silent, slow = connections(broker, 2)
        whole = frame(header(METADATA, 1, 7) + frames.array(frames.string("t")))
        push(silent, whole[:-20])
        began = time.monotonic()
        for byte in whole:
            push(slow, bytes([byte]))
            time.sleep(0.08)
        slow.socket.settimeout(5)
        equal(slow.receive()[0], 7, "the answer to one that took its time")
        silent.socket.settimeout(5)
        equal(silent.socket.recv(1), b"", "the silent one")
        assert time.monotonic() - began > 0.9
        close((silent, slow))


@case("a consumer that stops in the middle of a great answer holds no old pages: the file stays as it is", 60)
def pinned():
    options = ["-o", "log.retention.bytes=16000000", "-o", "log.retention.check.interval.ms=100",
               "-o", "fetch.max.bytes=52428800"]  # fmt: skip
    with one_worker(*options) as broker:
        log = Log(broker, "t")
        for _ in range(35):
            log.append()
        (stopped,) = connections(broker, 1, receive_bytes=4096)
        push(stopped, frame(header(FETCH, 7, 1) + frames.fetch_body("t", 0, partition_bytes=50 * MB)))
        eventually(lambda: not is_empty(stopped), 5, "the answer has begun")
        os.kill(broker.pid, signal.SIGUSR1)
        unsent = r"status of a connection .* unsent_bytes=(\d+)"
        held = eventually(lambda: max(map(int, re.findall(unsent, broker.log())), default=0), 5, "an answer that is not sent")
        assert held > 4 * MB, f"the kernel took all but {held} bytes of the answer"
        for _ in range(50):
            log.append()
        before, _ = machine.pages(broker.data)
        for _ in range(200):
            equal(log.append(), 0, "Produce")
        after, free = machine.pages(broker.data)
        note(f"{before * 4096 / MB:.0f} MB, and after 80 MB more {after * 4096 / MB:.0f} MB, {free} pages of it free")
        assert (after - before) * 4096 < 30 * MB, f"the file grew by {(after - before) * 4096 / MB:.0f} MB"
        stopped.socket.settimeout(10)
        equal(struct.unpack(">ii", stopped.socket.recv(8))[1], 1, "the answer that it reads on")
        close((stopped,))


def is_empty(c):
    try:
        c.socket.recv(1, socket.MSG_PEEK)
        return False
    except BlockingIOError:
        return True
