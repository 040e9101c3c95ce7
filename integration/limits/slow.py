"""A slow disk: whoever does not wait for it does not notice, whoever does waits, and nobody is killed for it."""

import os
import signal
import threading
import time

import frames
import machine
import raw
from frames import PRODUCE
from harness import patience
from harness.cases import case, equal, note
from log import Log
from machine import Limited


class Clock:
    """How long something took."""

    def __enter__(self):
        self.began = time.monotonic()
        return self

    def __exit__(self, *_):
        self.s = time.monotonic() - self.began


def small(topic, acks):
    return frames.produce_body(topic, frames.batch(), acks=acks)


def timed(connection, topic, acks, n):
    """The times of n Produce requests."""
    body, times = small(topic, acks), []
    for _ in range(n):
        with Clock() as clock:
            equal(frames.produced(connection.ask(PRODUCE, 7, body))[0], 0, "Produce")
        times.append(clock.s)
    return sorted(times)


class Member:
    def __init__(self, broker):
        self.client = raw.Client(broker, timeout_s=30)
        joined = self.client.joined("g", session=20000)
        self.member, self.generation = joined["member"], joined["generation"]
        equal(self.client.sync("g", self.generation, self.member, [(self.member, b"a")])[0], 0, "SyncGroup")

    def beat(self):
        with Clock() as clock:
            equal(self.client.heartbeat("g", self.generation, self.member), 0, "Heartbeat")
        return clock.s


def goes_on(sync_s, n):
    """acks=1, heartbeats and fetches of what is durable do not wait; acks=all does."""
    with machine.SlowDisk() as disk, Limited(workers=2, wrap=disk.wrap()) as broker:
        log, member = Log(broker, "t"), Member(broker)
        equal(log.append(), 0, "Produce")
        before = broker.children()
        disk.order(fdatasync_us=int(sync_s * 1e6))
        with Log(broker, "u").connection as one, Log(broker, "u").connection as all_:
            waiting = []
            thread = threading.Thread(target=lambda: waiting.extend(timed(all_, "u", -1, n)))
            thread.start()
            fast, beats, reads, writes = sync_s / 2 + 0.5 * patience.factor(), [], [], []
            while thread.is_alive():
                writes += timed(one, "u", 1, 1)
                beats.append(member.beat())
                with Clock() as clock:
                    log_end = frames.fetched(log.connection.ask(frames.FETCH, 7, frames.fetch_body("t")))[2]
                equal(log_end, 1, "high watermark")
                reads.append(clock.s)
            thread.join()
        middle = lambda times: sorted(times)[len(times) // 2]  # noqa: E731
        note(f"medians in ms: acks=1 {middle(writes) * 1e3:.1f}, heartbeat {middle(beats) * 1e3:.1f}, "
             f"fetch {middle(reads) * 1e3:.1f}, acks=all {middle(waiting) * 1e3:.1f}; longest acks=1 {max(writes) * 1e3:.1f}")  # fmt: skip
        for times, what in ((writes, "acks=1"), (beats, "Heartbeat"), (reads, "Fetch")):
            assert middle(times) < sync_s / 3, f"{what} waits for the disk: {middle(times):.3f} s"
            assert max(times) < fast, f"{what}: {max(times):.3f} s"
        assert min(waiting) >= sync_s * 0.9, f"acks=all is answered after {min(waiting):.3f} s, before the disk has it"
        equal(broker.children(), before, "the broker's processes")
        disk.order()


@case("fdatasync takes 50 ms: only who asks for the disk waits for it", 40)
def fifty_ms():
    goes_on(0.05, 20)


@case("fdatasync takes 2 s: the same, and nobody is killed", 60)
def two_seconds():
    goes_on(2.0, 2)


@case("each write takes 20 ms: slow, and right", 40)
def slow_writes():
    with machine.SlowDisk() as disk, Limited(workers=2, wrap=disk.wrap()) as broker:
        log, member = Log(broker, "t"), Member(broker)
        before = broker.children()
        disk.order(write_us=20000)
        for i in range(10):
            equal(log.append(acks=(1, -1)[i % 2]), 0, "Produce")
            beat = member.beat()
            assert beat < 2 * patience.factor(), f"Heartbeat: {beat:.3f} s"
        log.check()
        equal(broker.children(), before, "the broker's processes")
        disk.order()


@case("SIGTERM while fdatasync takes 1 s: all is answered, status 0; while it takes 10 s: it ends in time and says what was cut", 60)
def stopping():
    for sync_s, expected in ((1, 0), (10, 1)):
        with machine.SlowDisk() as disk:
            broker = Limited(workers=2, wrap=disk.wrap()).start()
            connection = Log(broker, "t").connection
            disk.order(fdatasync_us=sync_s * 1000000)
            connection.send(PRODUCE, 7, small("t", -1))
            time.sleep(0.2)  # it is under way: an earlier SIGTERM would not let it in
            os.kill(broker.pid, signal.SIGTERM)
            with Clock() as clock:
                status = broker.process.wait(10 * patience.factor())
            log = broker.log()
            broker.remove()
            equal(status, expected, f"exit status with {sync_s} s; it said\n{log}")
            assert clock.s < 5.5 * patience.factor(), f"{clock.s:.1f} s to stop"
            if expected == 0:
                equal(frames.produced(connection.receive()[1])[0], 0, "the answer")
            else:
                assert "no time is left for the last checkpoint" in log, log
