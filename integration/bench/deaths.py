#!/usr/bin/python3
"""How long a killed process is away, and what the clients of the others notice of its death.

    integration/bench/deaths.py [-n ROUNDS]    a broker of its own in each round; BROKER names the program

Sixteen plain connections, four at each of four workers, ask every 5 ms for a small batch to be written, one request at a
time: half with acks=all, half with acks=1. In each round every worker is killed once, while nobody else dies; then the
cleaner and the checkpointer. As many times more, with a program that was built for tests (common/faultpoint.h), workers
die in the middle of a write transaction, with the lock that all writers need. What is reported:

    back      from SIGKILL to the first answer of the successor, to a client that connects again and again (workers); or until
              writes go on (checkpointer: the longest answer is that)
    served    from SIGKILL to the first answer that such a client has of anybody
    longest   (acks=all, acks=1) the longest that an answer to any connection of the other workers took, in the third of a second from the kill
              on; the row "nobody" is the same without a kill

A process that dies again within ten seconds is restarted later on purpose; that is not what is measured here.
"""

import argparse
import gc
import os
import selectors
import signal
import socket
import statistics
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", folder) for folder in ("lib", "hostile", "chaos")]

import faults  # noqa: E402
import frames  # noqa: E402
from harness import procs, wire  # noqa: E402
from harness.broker import Broker  # noqa: E402

WORKERS, CONNECTIONS, EVERY_S, WINDOW_S = 4, 16, 0.005, 0.33
PROBE_EVERY_S = 0.001
ASK = frames.frame(frames.header(wire.API_VERSIONS, 0))


def produce_request(acks, partition):
    return frames.frame(frames.header(wire.PRODUCE, 3) + frames.produce_body("deaths", frames.batch(), acks, partition))


class Client:
    """One request after the other."""

    def __init__(self, load, broker, acks, partition):
        self.load, self.acks, self.dead = load, acks, False
        self.request = produce_request(acks, partition)
        self.socket = wire.Connection(broker.port).socket
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(10)
        self.socket.sendall(ASK)
        self.socket.recv(4096)
        self.pid = broker.worker_of(self.socket.getsockname()[1])[1]
        self.socket.setblocking(False)
        self.sent_at, self.due_at, self.answer = None, 0.0, b""
        load.selector.register(self.socket, selectors.EVENT_READ, self)

    def tick(self, now):
        if not self.dead and self.sent_at is None and now >= self.due_at:
            self.sent_at, self.due_at = now, now + EVERY_S
            try:
                self.socket.send(self.request)
            except OSError:
                self.end()

    def end(self):
        self.dead = True
        self.load.selector.unregister(self.socket)
        self.socket.close()

    def on_readable(self, now):
        try:
            part = self.socket.recv(4096)
        except OSError:
            part = b""
        if not part:
            self.end()
            return
        self.answer += part
        if len(self.answer) < 4 or len(self.answer) < 4 + struct.unpack_from(">i", self.answer)[0]:
            return
        error, _ = frames.produced(self.answer[8:])
        assert error == 0, f"the broker refused a batch: {error}"
        self.load.answers.append((self, self.sent_at, now))
        self.sent_at, self.answer = None, b""


class Probe:
    """Somebody who connects and asks."""

    def __init__(self, load, port, now):
        self.load, self.began, self.answered = load, now, None
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.connect_ex(("127.0.0.1", port))
        self.asked = False
        load.selector.register(self.socket, selectors.EVENT_WRITE, self)

    def on_writable(self):
        self.load.selector.modify(self.socket, selectors.EVENT_READ, self)
        try:
            self.socket.send(ASK)
        except OSError:
            pass  # its end is read

    def on_readable(self, now):
        self.load.selector.unregister(self.socket)
        try:
            self.answered = now if self.socket.recv(4096) else None
        except OSError:
            pass


class Load:
    def __init__(self, broker):
        self.broker, self.selector, self.answers = broker, selectors.DefaultSelector(), []
        self.clients = [Client(self, broker, (-1, 1)[i // WORKERS % 2], i % WORKERS) for i in range(CONNECTIONS)]

    def turn(self):
        for key, events in self.selector.select(0.0002):
            now = time.monotonic()
            if events & selectors.EVENT_WRITE:
                key.data.on_writable()
            elif events & selectors.EVENT_READ:
                key.data.on_readable(now)
        now = time.monotonic()
        for client in self.clients:
            client.tick(now)
        return now

    def run(self, seconds):
        end = time.monotonic() + seconds
        while self.turn() < end:
            pass

    def longest_ms(self, since, dead_pid, acks):
        """Of answers to others than the dead's clients, those that are still awaited included."""
        now = time.monotonic()
        took = [end - begin for client, begin, end in self.answers if end >= since and client.pid != dead_pid and client.acks == acks]
        took += [now - c.sent_at for c in self.clients if c.sent_at and not c.dead and c.pid != dead_pid and c.acks == acks]
        return max(took) * 1000

    def fill_up(self):
        """Those whose worker died connect again: to whoever serves them now."""
        for i, client in enumerate(self.clients):
            if client.dead:
                self.clients[i] = Client(self, self.broker, client.acks, i % WORKERS)


def first_pid(supervisor, before):
    """The child that was not there before."""
    with open(f"/proc/{supervisor}/task/{supervisor}/children", encoding="ascii") as file:
        return next((pid for pid in map(int, file.read().split()) if pid not in before), None)


def death(load, name, kill):
    """kill() gives the pid of who is dead now; look for a third of a second. {what: ms}"""
    broker = load.broker
    children = broker.children()
    before = set(children.values())
    load.answers.clear()
    probes, further, next_probe = [], 6, 0.0
    begin = time.monotonic()
    pid = kill()
    name = name or next(its for its, child in children.items() if child == pid)
    while (now := load.turn()) < begin + WINDOW_S:
        if pid and name.startswith("worker") and further > 0 and now >= next_probe:
            further -= first_pid(broker.pid, before) is not None
            probes.append(Probe(load, broker.port, now))
            next_probe = now + PROBE_EVERY_S
    found = {f"longest {acks}": load.longest_ms(begin, pid, acks) for acks in (-1, 1)}
    answered = [p for p in probes if p.answered]
    if answered:
        successor = broker.worker_pids().get(name)
        its = [p for p in answered if procs.serving(broker.port, p.socket.getsockname()[1], [successor])]
        found["served"] = (min(p.answered for p in answered) - begin) * 1000
        if its:
            found["back"] = (min(p.answered for p in its) - begin) * 1000
        else:
            print(f"# no probe was served by the next {name}", file=sys.stderr)
    for probe in probes:
        probe.socket.close()
    load.fill_up()
    load.run(0.2)
    return found


def row(title, found):
    def both(key):
        values = [f[key] for f in found if key in f]
        return f"{statistics.median(values):6.1f} {max(values):6.1f}" if values else f"{'':13}"

    print(f"  {title:<14} {len(found):5}   {both('back')}   {both('served')}   {both('longest -1')}   {both('longest 1')}", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("-n", type=int, default=6, metavar="ROUNDS", help="of four deaths of workers each (default 6)")
    rounds = arguments.parse_args().n
    gc.disable()
    found = {"nobody": [], "worker": [], "with the lock": [], "cleaner": [], "checkpointer": []}
    for _ in range(rounds):
        with Broker(workers=WORKERS).expect_deaths() as broker:
            load = begin(broker)
            for name in (*(f"worker-{i}" for i in range(WORKERS)), "cleaner", "checkpointer"):
                found["nobody"].append(death(load, "nobody", lambda: None))
                found[name.partition("-")[0]].append(death(load, name, lambda name=name: shoot(broker.children()[name])))
    aims = faults.Faults()
    for _ in range(rounds * WORKERS):  # it may be the same each time: not twice of one broker
        with Broker(workers=WORKERS, program=faults.program(), environment=aims.environment()).expect_deaths() as broker:
            load = begin(broker)
            found["with the lock"].append(death(load, None, lambda load=load: shoot_the_writer(load, aims)))
    aims.remove()
    print(f"  {'':14} {'':5}   {'back':^13}   {'served':^13}   {'acks=all':^13}   {'acks=1':^13}   ms")
    print(f"  {'killed':<14} {'count':>5}   " + "   ".join([f"{'median':>6} {'max':>6}"] * 4))
    for title, some in found.items():
        row(title, some)


def begin(broker):
    with broker.connect() as connection:
        connection.ask(frames.CREATE_TOPICS, 2, frames.create_body("deaths", partitions=WORKERS))
    load = Load(broker)
    load.run(0.5)
    return load


def shoot(pid):
    os.kill(pid, signal.SIGKILL)
    return pid


def shoot_the_writer(load, aims):
    """Whoever writes next."""
    aims.aim("turn.written", 1)
    while not (pid := aims.hit("turn.written")):
        load.turn()
    return pid


if __name__ == "__main__":
    main()
