"""A topic that is written in large batches by hand, and a ledger of what was acknowledged."""

import struct

import frames
from frames import FETCH, KAFKA_STORAGE_ERROR, NONE, PRODUCE
from harness.cases import equal

SIZE = 400_000
_batches = []


def batches():
    """A few that differ, made once: their checksums take time."""
    if not _batches:
        _batches.extend(frames.batch([frames.record(value=bytes([i]) * SIZE)]) for i in range(5))
    return _batches


class Log:
    def __init__(self, broker, topic, first=0):
        self.topic = topic
        self.first = first  # offset where the log begins
        self.stored = []  # for each offset the number of the batch
        self.connect(broker)
        error = frames.created(self.connection.ask(frames.CREATE_TOPICS, 2, frames.create_body(topic)))
        assert error in ([0], [36]), error

    def connect(self, broker):
        self.connection = broker.connect(timeout_s=20)

    def append(self, acks=-1):
        """Produce one batch; the ledger has it if it was acknowledged. Returns the error."""
        number = len(self.stored) % 5
        body = frames.produce_body(self.topic, batches()[number], acks=acks)
        error, offset = frames.produced(self.connection.ask(PRODUCE, 7, body))
        assert error in (NONE, KAFKA_STORAGE_ERROR), f"Produce: error {error}"
        if error == NONE:
            equal(offset, len(self.stored), "offset of an acknowledged batch")
            self.stored.append(number)
        return error

    def fill(self, most=2000):
        """Until it is refused. How many were taken."""
        for n in range(most):
            if self.append(acks=(-1, 1)[n % 2]):
                return n
        raise AssertionError(f"{most} batches of {SIZE} bytes, and still not full")

    def check(self):
        """Read it all back: what was acknowledged is there, and nothing else."""
        at = self.first
        while at < len(self.stored):
            body = frames.fetch_body(self.topic, at, wait_ms=1000, partition_bytes=1 << 20)
            top, error, high, records = frames.fetched(self.connection.ask(FETCH, 7, body))
            equal((top, error, high), (0, 0, len(self.stored)), f"Fetch at {at}")
            while records:
                expected = batches()[self.stored[at]]
                base, one = struct.unpack_from(">q", records)[0], records[: len(expected)]
                equal(base, at, "offset")
                assert one[8:12] + one[16:] == expected[8:12] + expected[16:], f"other bytes at offset {at}"
                at, records = at + 1, records[len(expected) :]
        _, _, high, records = frames.fetched(self.connection.ask(FETCH, 7, frames.fetch_body(self.topic, at)))
        equal((high, records), (at, b""), "the end: what was refused is not stored")
