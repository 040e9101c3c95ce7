"""One death at one named point, while nobody else does anything: what did the dead leave undone that others wait for?"""

import os
import struct
import sys
import time

from faults import Faults, program
from harness import patience, procs, wire
from harness.broker import Broker
from harness.cases import case, equal, eventually, note, run_cases
from load import all_back

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "hostile"))
import frames  # noqa: E402

SOON_S = 5  # far below what the waiting fetch asks for, or the cleaner's interval


class Quiet:
    """A broker with named points, and connections to chosen workers."""

    def __init__(self):
        self.faults = Faults()
        self.broker = Broker(program=program(), environment=self.faults.environment()).expect_deaths()

    def __enter__(self):
        self.broker.start()
        return self

    def __exit__(self, *why):
        self.broker.__exit__(*why)
        self.faults.remove()

    def replaced(self, point):
        """Whoever died at the point is gone, and its successor there."""
        pid = self.faults.hit(point)
        assert pid, f"nobody died at {point}"
        eventually(lambda: not procs.alive(pid), what="the dead is dead", pause_s=0.001)
        all_back(self.broker)

    def connect_to(self, *pids):
        """A connection that one of these processes serves."""
        others, deadline = [], time.monotonic() + 10 * patience.factor()
        while time.monotonic() < deadline:
            connection = self.broker.connect(timeout_s=SOON_S * patience.factor())
            connection.ask(wire.API_VERSIONS, 0)
            if self.broker.worker_of(connection.local_port)[1] in pids:
                return connection
            others.append(connection)
        raise AssertionError(f"no connection comes to {pids}")

    def ask_once(self, connection, *request):
        """The answer; None: the connection ended."""
        try:
            return connection.ask(*request)
        except (EOFError, ConnectionError):
            return None

    def ask_until_answered(self, *request):
        """As clients do, over another connection if one ends."""
        deadline = time.monotonic() + 4 * SOON_S * patience.factor()
        while time.monotonic() < deadline:
            with self.broker.connect(timeout_s=SOON_S * patience.factor()) as connection:
                if answer := self.ask_once(connection, *request):
                    return answer
        raise AssertionError("no answer, over any connection")


NOT_STORED = ("turn.written", "commit.due")


def fetch(offset):
    return wire.fetch_body("t", offset, max_wait_ms=600_000)


@case("a record is written and somebody dies on its way: who waits for it at another worker gets it soon", timeout_s=120)
def waiting_fetch():
    points = (
        "turn.written commit.due commit.made turn.committed turn.told checkpoint.pinned checkpoint.synced checkpoint.recorded"
        " checkpoint.published checkpoint.told answer.due answer.sent"
    ).split()
    produce, took = (wire.PRODUCE, 3, frames.produce_body("t", frames.batch())), []
    with Quiet() as quiet:
        broker, faults = quiet.broker, quiet.faults
        with broker.connect() as connection:
            create(connection, "t")
        end = 0
        for n, point in enumerate(points):
            workers = sorted(broker.worker_pids().values())
            writer, reader = quiet.connect_to(workers[n % 4]), quiet.connect_to(workers[(n + 1) % 4])
            reader.send(wire.FETCH, 11, fetch(end))
            eventually(lambda: rests(broker), what="nobody does anything")
            faults.aim(point, 1)
            begin = time.monotonic()
            answer = quiet.ask_once(writer, *produce)
            if not answer and point in NOT_STORED:
                answer = quiet.ask_until_answered(*produce)
            # What is stored is told to who waits for it, though the producer has not asked again.
            try:
                read = reader.receive()[1]
            except EOFError:
                assert point.startswith("answer"), f"{point}: the connection of the worker that lives has ended"
                read = quiet.ask_until_answered(wire.FETCH, 11, fetch(end))
            took.append(time.monotonic() - begin)
            error, high_watermark, records = wire.fetched(read)
            assert error == 0 and records and high_watermark > end, f"{point}: {error}, {high_watermark}, {len(records)} bytes"
            quiet.replaced(point)
            error, offset = frames.produced(answer or quiet.ask_until_answered(*produce))
            equal(error, 0, f"{point}: error of the producer")
            assert offset >= end, f"{point}: acknowledged at {offset}, while the log ended at {end}"
            end = offset + 1
            while True:  # what was stored, and not acknowledged, is there as well
                with broker.connect() as connection:
                    _, last, _ = wire.fetched(connection.ask(wire.FETCH, 11, wire.fetch_body("t", end)))
                if last == end:
                    break
                end = last
        note("read after " + ", ".join(f"{s * 1000:.0f}" for s in took) + " ms")


def rests(broker):
    """All are asleep, but for the checkpointer's interval."""
    return all(open(f"/proc/{pid}/stat", encoding="ascii").read().rpartition(")")[2].split()[0] == "S" for pid in broker.children().values())


@case("a topic's creation is committed and its worker dies before it answers: all workers know the topic", timeout_s=60)
def created():
    with Quiet() as quiet:
        quiet.faults.aim("turn.committed", 1)
        connection = quiet.broker.connect()
        try:
            connection.ask(frames.CREATE_TOPICS, 2, frames.create_body("t"))
            raise AssertionError("an answer, of one who is dead")
        except (OSError, EOFError):
            pass
        quiet.replaced("turn.committed")
        for name, pid in quiet.broker.worker_pids().items():
            answer = quiet.connect_to(pid).ask(frames.CREATE_TOPICS, 2, frames.create_body("t"))
            equal(frames.created(answer), [36], f"{name} about a topic that is there")


@case("a topic's deletion is committed and its worker dies before it calls the cleaner: its records go at once all the same", timeout_s=60)
def deleted():
    with Quiet() as quiet:
        broker, faults = quiet.broker, quiet.faults
        with broker.connect() as connection:
            # One that is deleted as usual: of its own accord the cleaner looks once, soon after its start.
            create_full(connection, "other")
            connection.ask(frames.DELETE_TOPICS, 1, delete_body("other"))
            eventually(lambda: faults.passed("clean.topic") and rests(broker), SOON_S, "the cleaner begins, and ends")
            create_full(connection, "t")
            before = faults.passed("clean.topic")
            faults.aim("turn.committed", 1)
            try:
                connection.ask(frames.DELETE_TOPICS, 1, delete_body("t"))
                raise AssertionError("an answer, of one who is dead")
            except (OSError, EOFError):
                pass
        eventually(lambda: faults.passed("clean.topic") > before, SOON_S, "the cleaner begins")
        with broker.connect() as connection:
            create(connection, "t")
            _, high_watermark, records = wire.fetched(connection.ask(wire.FETCH, 11, wire.fetch_body("t")))
            equal((high_watermark, records), (0, b""), "what the new topic holds")


def create(connection, name):
    equal(frames.created(connection.ask(frames.CREATE_TOPICS, 2, frames.create_body(name))), [0], "error")


def create_full(connection, name):
    create(connection, name)
    for _ in range(10):
        equal(frames.produced(connection.ask(wire.PRODUCE, 3, frames.produce_body(name, frames.batch())))[0], 0, "error")


def delete_body(name):
    """DeleteTopics v1."""
    return frames.array(frames.string(name)) + struct.pack(">i", 5000)


if __name__ == "__main__":
    run_cases()
