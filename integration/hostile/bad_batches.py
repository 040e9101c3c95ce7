"""Produce requests that must not leave a trace: Kafka's error for each, and the log's end where it was.

Checked against Apache Kafka 4.1 too. Where it answers UNKNOWN_SERVER_ERROR (an unknown codec, an endless varint, the largest
length), does not answer at all (null records) or takes the batch (bytes behind it, offset deltas that do not count up), a
plain error is asked for here.
"""

import struct
import time
import zlib

import frames
import victim
from frames import batch, record, varint
from harness import patience
from harness.cases import equal, eventually
from victim import TOPIC, connect, hostile

CORRUPT, INVALID, TOO_LARGE = frames.CORRUPT_MESSAGE, frames.INVALID_RECORD, frames.MESSAGE_TOO_LARGE
UNKNOWN = frames.UNKNOWN_TOPIC_OR_PARTITION
CONTROL, TRANSACTIONAL = 0x20, 0x10
NOISE = bytes(range(256))


def refused(name, *expected, records=None, version=7, closes=False, **more):
    """A case: this Produce gets one of these errors (or the connection is closed), and nothing is stored."""

    @hostile("refused: " + name)
    def case():
        before = victim.end_offset()
        with connect() as c:
            body = frames.produce_body(more.pop("topic", TOPIC), records() if callable(records) else records, **more)
            try:
                error = frames.produced(c.ask(frames.PRODUCE, version, body))[0]
            except (EOFError, ConnectionError):
                error = "closed"
        assert error in expected, f"error {error}, where Kafka gives {' or '.join(map(str, expected))}"
        equal(victim.end_offset(), before, "end of the log")


@hostile("a refused batch is a line in the log: who, which topic, what was wrong")
def logged():
    for records, what in ((batch(crc=1), "CORRUPT_MESSAGE|CRC"), (batch() + batch(), "INVALID_RECORD")):
        mark = victim.log_end()
        with connect() as c:
            c.ask(frames.PRODUCE, 7, frames.produce_body(TOPIC, records))
            victim.log_says(mark, rf"\b{c.local_port}\b", TOPIC, what)


refused("a wrong CRC", CORRUPT, records=batch(crc=1))
refused("a bit turned in the records", CORRUPT, records=batch()[:-2] + b"\x55\0")
refused("a length that is too small", CORRUPT, records=batch(length=20))
refused("a length of zero", CORRUPT, records=batch(length=0))
refused("a negative length", CORRUPT, records=batch(length=-5))
refused("the smallest possible length", CORRUPT, records=batch(length=-(1 << 31)))
refused("a length beyond the data", CORRUPT, INVALID, records=batch(length=5000))
refused("the largest possible length", CORRUPT, INVALID, records=batch(length=(1 << 31) - 1))
refused("a batch cut short", CORRUPT, INVALID, records=batch()[:-3])
refused("a header cut short", CORRUPT, INVALID, records=batch()[:40])
refused("11 bytes", CORRUPT, INVALID, records=batch()[:11])
refused("noise", CORRUPT, INVALID, frames.UNSUPPORTED_FOR_MESSAGE_FORMAT, records=NOISE)
refused("no batch at all", INVALID, CORRUPT, records=b"")
refused("null", INVALID, CORRUPT, records=None)
refused("two batches", INVALID, records=batch() + batch())
refused("bytes behind the batch", INVALID, CORRUPT, records=batch() + b"\0\0\0")

refused("a count larger than the records", INVALID, CORRUPT, records=batch(count=5))
refused("a count smaller than the records", INVALID, CORRUPT, records=batch([record(0), record(1)], count=1))
refused("a count of zero", INVALID, CORRUPT, records=batch(b"", count=0, last_delta=0))
refused("a negative count", INVALID, CORRUPT, records=batch(count=-1, last_delta=0))
refused("the largest count", INVALID, CORRUPT, records=batch(count=(1 << 31) - 1))
refused("the largest count, compressed", INVALID, CORRUPT, records=batch(NOISE, count=(1 << 31) - 1, last_delta=0, attributes=1))
refused("a last offset delta that does not fit the count", INVALID, CORRUPT, records=batch(last_delta=7))
refused("a negative last offset delta", INVALID, CORRUPT, records=batch(last_delta=-1))
refused("offset deltas with a hole", INVALID, CORRUPT, records=batch([record(0), record(5)]))
refused("offset deltas that go down", INVALID, CORRUPT, records=batch([record(1), record(0)]))

refused("a record's size that is negative", INVALID, CORRUPT, records=batch([record(size=-4)]))
refused("a record's size beyond the batch", INVALID, CORRUPT, records=batch([record(size=60)]))
refused("a record's size that is too small", INVALID, CORRUPT, records=batch([record(size=3)]))
refused("a key's size beyond the record", INVALID, CORRUPT, records=batch([record(key_size=1 << 30)]))
refused("a value's size of -5", INVALID, CORRUPT, records=batch([record(value_size=-5)]))
refused("a negative count of headers", INVALID, CORRUPT, records=batch([record(headers=varint(-1))]))
refused("two thousand million headers", INVALID, CORRUPT, records=batch([record(headers=varint((1 << 31) - 1))]))
refused("a header's key of size -1", INVALID, CORRUPT, records=batch([record(headers=varint(1) + varint(-1) + varint(-1))]))
refused("a header beyond the record", INVALID, CORRUPT, records=batch([record(headers=varint(1) + varint(9) + b"x")]))
refused("an endless varint", INVALID, CORRUPT, records=batch(b"\xff" * 30))

refused("magic 0", INVALID, frames.UNSUPPORTED_FOR_MESSAGE_FORMAT, records=frames.old_message(0))
refused("magic 1", INVALID, frames.UNSUPPORTED_FOR_MESSAGE_FORMAT, records=frames.old_message(1))
refused("magic 3", INVALID, CORRUPT, frames.UNSUPPORTED_FOR_MESSAGE_FORMAT, records=batch(magic=3))
refused("magic -1", INVALID, CORRUPT, frames.UNSUPPORTED_FOR_MESSAGE_FORMAT, records=batch(magic=-1))
for codec in (5, 6, 7):
    refused(f"codec {codec}", INVALID, CORRUPT, frames.UNSUPPORTED_COMPRESSION_TYPE, records=batch(attributes=codec))
refused("zstd before version 7", frames.UNSUPPORTED_COMPRESSION_TYPE, records=batch(NOISE, attributes=4), version=6)
refused("a control batch", INVALID, records=batch(attributes=CONTROL))
refused("a control batch of a transaction", INVALID, 53, records=batch(attributes=CONTROL | TRANSACTIONAL, producer=(1, 0, 0)))

refused("a batch over max.message.bytes", TOO_LARGE, records=lambda: batch([record(value=bytes(1_100_000))]))
refused("acks=2", frames.INVALID_REQUIRED_ACKS, records=batch(), acks=2)
refused("acks=-2", frames.INVALID_REQUIRED_ACKS, records=batch(), acks=-2)
refused("acks=32767", frames.INVALID_REQUIRED_ACKS, records=batch(), acks=32767)
refused("partition 1 of one", UNKNOWN, records=batch(), partition=1)
refused("partition -1", UNKNOWN, records=batch(), partition=-1)
refused("partition 2147483647", UNKNOWN, records=batch(), partition=(1 << 31) - 1)
refused("a topic that cannot be", frames.INVALID_TOPIC_EXCEPTION, UNKNOWN, records=batch(), topic="no/such topic")
refused("a topic without a name", frames.INVALID_TOPIC_EXCEPTION, UNKNOWN, records=batch(), topic="")
refused("a topic name that is not UTF-8", frames.INVALID_TOPIC_EXCEPTION, UNKNOWN, "closed", records=batch(), topic=b"\xff\xfe")


@hostile("acks=0 with an error: the connection is closed")
def acks_none():
    for records in (batch(crc=1), batch() + batch()):
        before = victim.end_offset()
        with connect() as c:
            c.send(frames.PRODUCE, 7, frames.produce_body(TOPIC, records, acks=0))
            assert c.is_closed(3), "the connection stays open, so the client never learns"
        equal(victim.end_offset(), before, "end of the log")


@hostile("acks=0 without an error: no answer, the next request's comes first")
def acks_none_good():
    before = victim.end_offset()
    with connect() as c:
        c.send(frames.PRODUCE, 7, frames.produce_body(TOPIC, batch(), acks=0))
        c.ask(frames.API_VERSIONS, 0)
    eventually(lambda: victim.end_offset() == before + 1, what="the record in the log")


@hostile("an idempotent producer's sequences: a hole and a wrong epoch are refused, a repetition is not stored twice")
def sequences():
    with connect() as c:
        answer = c.ask(frames.INIT_PRODUCER_ID, 0, struct.pack(">hi", -1, 60_000))
        error, producer, epoch = struct.unpack_from(">hqh", answer, 4)
        equal((error, epoch), (0, 0), "InitProducerId")

        def send(sequence, epoch=0):
            body = frames.produce_body(TOPIC, batch(producer=(producer, epoch, sequence)))
            return frames.produced(c.ask(frames.PRODUCE, 7, body))

        error, first = send(0)
        equal(error, 0, "the first")
        equal(send(0), (0, first), "the first again")
        equal(send(1), (0, first + 1), "the second")
        equal(send(5)[0], frames.OUT_OF_ORDER_SEQUENCE_NUMBER, "a hole")
        equal(send(2, epoch=1)[0], frames.OUT_OF_ORDER_SEQUENCE_NUMBER, "a new epoch that does not begin with 0")
        equal(send(0, epoch=1), (0, first + 2), "a new epoch")
        equal(send(2)[0], 47, "the old epoch")
    equal(victim.end_offset(), first + 3, "end of the log")


def new_topic(stem, configs=b""):
    """A topic beside the one that is attacked; configs encoded."""
    name = f"{TOPIC}-{stem}"
    topic = frames.string(name) + struct.pack(">ih", 1, 1) + frames.array() + (configs or frames.array())
    with connect() as c:
        answer = c.ask(frames.CREATE_TOPICS, 2, frames.array(topic) + struct.pack(">i", 10_000) + b"\0")
    equal(frames.created(answer), [0], "CreateTopics")
    victim.settle()
    return name


@hostile("batches whose compressed part is noise: refused, or kept as they are; asking for times opens them, and survives")
def compressed_noise():
    name = new_topic("noise")
    for codec in (1, 2, 3, 4):
        for noise in (NOISE, b"", b"\x1f\x8b\x08\0\0\0\0\0\0\3" + NOISE, b"\x28\xb5\x2f\xfd" + NOISE, b"\x04\x22\x4d\x18" + NOISE):
            with connect() as c:
                body = frames.produce_body(name, batch(noise, count=3, attributes=codec))
                error = frames.produced(c.ask(frames.PRODUCE, 7, body))[0]
                assert error in (0, CORRUPT, INVALID, -1), f"codec {codec}: error {error}"
    with connect() as c:
        for time in (0, frames.NOW_MS, -1, -2):
            error, _ = frames.offset_of(c.ask(frames.LIST_OFFSETS, 1, frames.offsets_body(name, time)))
            assert error in (0, CORRUPT, frames.KAFKA_STORAGE_ERROR, -1), f"ListOffsets by time {time}: error {error}"


COMPACTED = frames.array(frames.string("cleanup.policy") + frames.string("compact"))


def bomb(size):
    """A gzip batch of little size that says to be one record of this many zeros."""
    zeros, packer = bytes(1 << 20), zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"\0\0\0" + varint(3) + b"key" + varint(size)
    packed = packer.compress(varint(len(body) + size + 1) + body)
    for _ in range(size >> 20):
        packed += packer.compress(zeros)
    return packed + packer.compress(b"\0") + packer.flush()


@hostile("300 MB of zeros in a batch of 300 KB, for a compacted topic, whose batches are opened: no memory, little time")
def compressed_bomb():
    name = new_topic("compacted", COMPACTED)
    whole = batch(bomb(300 << 20), count=1, attributes=1)
    began = time.monotonic()
    with connect() as c:
        error = frames.produced(c.ask(frames.PRODUCE, 7, frames.produce_body(name, whole)))[0]
        frames.offset_of(c.ask(frames.LIST_OFFSETS, 1, frames.offsets_body(name, frames.NOW_MS)))
    took = time.monotonic() - began
    assert took < 3 * patience.factor(), f"the answer took {took:.1f} s"
    assert error in (0, CORRUPT, INVALID, TOO_LARGE, -1), f"error {error}"


@hostile("a record without a key for a compacted topic: refused, compressed or not")
def keyless():
    name = new_topic("keys", COMPACTED)
    plain = record(key=None)
    with connect() as c:
        for whole in (batch([plain]), batch(zlib.compress(plain, wbits=31), attributes=1)):
            equal(frames.produced(c.ask(frames.PRODUCE, 7, frames.produce_body(name, whole)))[0], INVALID, "error")
        good = batch(zlib.compress(record(), wbits=31), attributes=1)
        equal(frames.produced(c.ask(frames.PRODUCE, 7, frames.produce_body(name, good)))[0], 0, "a good one")


@hostile("one bad partition among good ones: its error alone")
def mixed():
    before = victim.end_offset()
    parts = [struct.pack(">i", p) + frames.data(b) for p, b in ((0, batch()), (9, batch()))]
    body = struct.pack(">hhi", -1, -1, 10_000) + frames.array(frames.string(TOPIC) + frames.array(*parts))
    with connect() as c:
        answer = c.ask(frames.PRODUCE, 7, body)
    at = 4 + 2 + len(TOPIC)
    count = struct.unpack_from(">i", answer, at)[0]
    errors = {}
    for i in range(count):
        index, error = struct.unpack_from(">ih", answer, at + 4 + 30 * i)
        errors[index] = error
    equal(errors, {0: 0, 9: UNKNOWN}, "errors")
    equal(victim.end_offset(), before + 1, "end of the log")
