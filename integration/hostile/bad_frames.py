"""Frames that are cut, too large, made of noise, or that lie about what is in them."""

import os
import random
import struct

import frames
import victim
from frames import API_VERSIONS, FETCH, LIST_OFFSETS, METADATA, PRODUCE, frame, header, uvarint
from harness.cases import Skip, equal
from victim import ask_closed, attack, connect, hostile, i32

LIMIT = 104857600  # socket.request.max.bytes
SEED = int(os.environ.get("SEED", "20"))  # of all that is random here


@hostile("a size field that is negative, zero, huge or one over the limit: closed at once")
def sizes():
    for size in (-1, -(1 << 31), 0, (1 << 31) - 1, LIMIT + 1):
        attack(i32(size), says="size|length|bytes|empty|frame")


@hostile("40 clients announce 100 MiB each and send little of it: no memory is set aside for that", limit_kb=64 << 10)
def announced():
    if victim.PEER:
        raise Skip("an Apache Kafka sets it aside, and may die of it")
    held = []
    for _ in range(40):
        c = connect()
        c.socket.sendall(i32(LIMIT) + header(PRODUCE, 7) + bytes(100))
        held.append(c)
    victim.good_client_works()
    victim.memory_is_bounded(48 << 10)
    for c in held:
        c.close()


@hostile("every prefix of a good request, and then the end")
def prefixes():
    body = frames.produce_body(victim.TOPIC, frames.batch())
    whole = frame(header(PRODUCE, 7) + body)
    before = victim.end_offset()
    for cut in range(1, len(whole)):
        with connect() as c:
            c.socket.sendall(whole[:cut])
    equal(victim.end_offset(), before, "end of the log")


@hostile("a good request cut short behind a size that says so: closed")
def cut_bodies():
    bodies = [
        (PRODUCE, 7, frames.produce_body(victim.TOPIC, frames.batch())),
        (FETCH, 7, frames.fetch_body(victim.TOPIC)),
        (LIST_OFFSETS, 1, frames.offsets_body(victim.TOPIC)),
        (METADATA, 1, frames.array(frames.string(victim.TOPIC))),
        (frames.CREATE_TOPICS, 2, frames.create_body("x")),
    ]
    before = victim.end_offset()
    for key, version, body in bodies:
        for cut in (0, 1, len(body) // 2, len(body) - 1):
            ask_closed(key, version, body[:cut])
    equal(victim.end_offset(), before, "end of the log")


@hostile("a header cut short: closed")
def cut_headers():
    whole = header(METADATA, 1)
    for cut in (1, 3, 7, 8, 9, len(whole) - 1):
        attack(frame(whole[:cut]))
    attack(frame(struct.pack(">hhih", METADATA, 1, 1, -7)))  # a client id of length -7
    attack(frame(struct.pack(">hhih", METADATA, 1, 1, 32000)))


@hostile("unknown API keys: closed")
def unknown_keys():
    for key in (-1, 999, 32767, -32768):
        ask_closed(key, 0, b"", says="api")


@hostile("unknown versions: closed")
def unknown_versions():
    for key, version in ((METADATA, 99), (METADATA, -1), (PRODUCE, 2), (PRODUCE, 99), (FETCH, 3), (FETCH, 99)):
        ask_closed(key, version, bytes(40), says="version")


@hostile("ApiVersions in an unknown version: the answer of version 0 with UNSUPPORTED_VERSION, and on we go")
def api_versions():
    for version in (99, 32767):
        with connect() as c:
            answer = c.ask(API_VERSIONS, version, bytes(8))
            error, count = struct.unpack_from(">hi", answer)
            equal(error, frames.UNSUPPORTED_VERSION, "error")
            rows = [struct.unpack_from(">hhh", answer, 6 + 6 * i) for i in range(count)]
            equal(len(answer), 6 + 6 * count, "length of the answer")
            assert any(key == API_VERSIONS and high >= 3 for key, _, high in rows), f"no ApiVersions in {rows}"
            equal(struct.unpack_from(">h", c.ask(API_VERSIONS, 0))[0], 0, "error of the next one")


@hostile("ApiVersions v3 with a software name that cannot be: INVALID_REQUEST")
def software_name():
    for name, version in ((b"", b"1"), (b"a b", b"1"), (b"-x", b"1"), (b"ok", b"\xff\xfe")):
        payload = b"".join(uvarint(len(t) + 1) + t for t in (name, version)) + b"\0"
        with connect() as c:
            answer = c.ask(API_VERSIONS, 3, b"\0" + payload)
            equal(struct.unpack_from(">h", answer)[0], frames.INVALID_REQUEST, "error")


@hostile("counts that are negative or larger than the frame: closed, nothing allocated", limit_kb=64 << 10)
def counts():
    for count in (-2, -(1 << 31), (1 << 31) - 1, 1_000_001, 10_000_000):
        ask_closed(METADATA, 1, i32(count))
        ask_closed(LIST_OFFSETS, 1, i32(-1) + i32(count))
        ask_closed(PRODUCE, 7, struct.pack(">hhi", -1, -1, 100) + i32(count))
    name = frames.string("t")
    ask_closed(PRODUCE, 7, struct.pack(">hhi", -1, -1, 100) + frames.array(name + i32(0x7FFFFFFF)))
    ask_closed(PRODUCE, 7, struct.pack(">hhi", -1, -1, 100) + frames.array(name + frames.array(i32(0) + i32(0x7FFFFFFF))))
    ask_closed(PRODUCE, 7, struct.pack(">hhi", -1, -1, 100) + frames.array(name + frames.array(i32(0) + i32(-2))))


@hostile("lists in lists, each of which claims a million elements", limit_kb=64 << 10)
def nested():
    topic = frames.string("t") + i32(1_000_000)
    ask_closed(PRODUCE, 7, struct.pack(">hhi", -1, -1, 100) + i32(1_000_000) + topic * 1000)
    ask_closed(FETCH, 7, struct.pack(">iiiibii", -1, 0, 1, 1 << 20, 0, 0, -1) + i32(1_000_000) + topic * 1000)
    ask_closed(frames.CREATE_TOPICS, 2, i32(1_000_000) + (frames.string("t") + struct.pack(">ih", 1, 1) + i32(900_000)) * 9)


@hostile("strings that are null where they must not be, negative, or longer than the frame")
def strings():
    for size in (-1, -2, -32768, 32767):
        ask_closed(METADATA, 1, i32(1) + struct.pack(">h", size))
    for size in (0, (1 << 31) - 1, (1 << 32) - 1, (1 << 35) - 1):  # compact: length + 1
        ask_closed(METADATA, 9, uvarint(2) + uvarint(size) + b"x", flexible=True)


@hostile("tags: endless varints, counts and sizes beyond the frame, the same tag over and over")
def tags():
    tail = b"\1\1"  # allow_auto_topic_creation, include_topic_authorized_operations
    for end in (
        b"\xff" * 5,
        b"\xff" * 20,
        uvarint((1 << 32) - 1),
        uvarint(1) + uvarint(5) + uvarint((1 << 31) - 1),
        uvarint(1) + b"\xff" * 10,
        uvarint(20_001) + (uvarint(7) + b"\0") * 20_001,
        uvarint(100_000) + b"\0" * 5,
    ):
        ask_closed(METADATA, 9, uvarint(1) + tail + b"\0" + end, flexible=True)
        ask_closed(METADATA, 9, end)  # in the header


@hostile("unknown tags in a good request are read over")
def good_tags():
    body = b"\1" + b"\0\0\0" + uvarint(3) + b"".join(uvarint(t) + uvarint(4) + b"abcd" for t in (7, 8, 4000))
    with connect() as c:
        c.socket.sendall(frame(header(METADATA, 9, 5) + uvarint(1) + b"\3\2xy" + body))
        equal(c.receive()[0], 5, "correlation id")


@hostile("noise")
def noise():
    rng = random.Random(SEED)
    for _ in range(200):
        with connect() as c:
            try:
                c.socket.sendall(rng.randbytes(rng.choice((1, 4, 8, 40, 1000, 70000))))
            except ConnectionError:
                pass


@hostile("noise behind a good header, for every API and version that is offered", timeout_s=40)
def noise_behind_headers():
    rng = random.Random(SEED + 1)
    for key, low, high in offered():
        for version in range(low, high + 1):
            for size in (0, 3, 20, 200):
                payload = header(key, version, client="noise") + rng.randbytes(size)
                with connect() as c:
                    c.socket.sendall(frame(payload))


@hostile("good requests with some bits turned", timeout_s=40)
def bits():
    rng = random.Random(SEED + 2)
    good = [
        frame(header(PRODUCE, 7) + frames.produce_body("bits", frames.batch())),
        frame(header(FETCH, 7) + frames.fetch_body(victim.TOPIC)),
        frame(header(LIST_OFFSETS, 1) + frames.offsets_body(victim.TOPIC)),
        frame(header(METADATA, 9, flexible=True) + uvarint(2) + b"\2x" + b"\0\0\0\0\0"),
        frame(header(frames.CREATE_TOPICS, 2) + frames.create_body("bits-2")),
    ]
    for i in range(600):
        broken = bytearray(good[i % len(good)])
        for _ in range(rng.randint(1, 3)):
            broken[rng.randrange(4, len(broken))] ^= 1 << rng.randrange(8)
        with connect() as c:
            c.socket.sendall(broken)
            if i % 10 == 0:
                c.is_closed(0.05)  # some stay for an answer


@hostile("TLS on the port: named as such")
def tls():
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(range(190))
    attack(hello, says="TLS|SSL")


@hostile("HTTP on the port: named as such")
def http():
    for line in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /topics HTTP/1.1\r\n\r\n", b"HEAD / HTTP/1.0\r\n\r\n"):
        attack(line, says="HTTP")


@hostile("what belongs to other servers: SSH, SMTP, Redis, a line of text")
def others():
    for line in (b"SSH-2.0-OpenSSH_9.2\r\n", b"EHLO x\r\n", b"*1\r\n$4\r\nPING\r\n", b"hello, world\n"):
        attack(line)


def offered():
    """(key, lowest, highest version) of every API in the answer to ApiVersions v0."""
    with connect() as c:
        answer = c.ask(API_VERSIONS, 0)
    count = struct.unpack_from(">i", answer, 2)[0]
    return [struct.unpack_from(">hhh", answer, 6 + 6 * i) for i in range(count)]
