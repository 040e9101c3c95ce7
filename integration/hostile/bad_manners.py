"""Clients that behave badly though their frames are right: slow, deaf, many, gone."""

import random
import re
import shutil
import socket
import struct
import subprocess
import time

import frames
import victim
from frames import API_VERSIONS, FETCH, METADATA, PRODUCE, frame, header
from harness import patience, procs
from harness.broker import Broker
from harness.cases import Skip, equal, eventually
from harness.wire import Connection
from victim import TOPIC, connect, hostile

METADATA_ONE = frames.array(frames.string(TOPIC))


@hostile("200 requests in one write: answered in order")
def pipelined():
    rng = random.Random(3)
    kinds = [
        (API_VERSIONS, 0, b""),
        (METADATA, 1, METADATA_ONE),
        (PRODUCE, 7, frames.produce_body(TOPIC, frames.batch(), acks=-1)),
        (PRODUCE, 7, frames.produce_body(TOPIC, frames.batch(), acks=1)),
        (FETCH, 7, frames.fetch_body(TOPIC, 0)),
        (frames.LIST_OFFSETS, 1, frames.offsets_body(TOPIC)),
    ]
    sent = [rng.choice(kinds) for _ in range(200)]
    sent[50] = (FETCH, 7, frames.fetch_body(TOPIC, 0, wait_ms=100, min_bytes=1 << 30))  # one that waits, amid all
    with connect() as c:
        c.socket.sendall(b"".join(frame(header(k, v, 1000 + i) + body) for i, (k, v, body) in enumerate(sent)))
        bodies = victim.answer_in_order(c, range(1000, 1200))
    offsets = []
    for (key, _, _), body in zip(sent, bodies):
        if key == PRODUCE:
            error, offset = frames.produced(body)
            equal(error, 0, "Produce")
            offsets.append(offset)
    equal(offsets, list(range(offsets[0], offsets[0] + len(offsets))), "offsets in the order of the requests")


@hostile("a byte at a time, a second between two: it is answered, and others do not wait")
def slow_sender():
    whole = frame(header(METADATA, 1, 77) + METADATA_ONE)
    with connect() as c:
        for byte in whole[:4]:
            c.socket.sendall(bytes([byte]))
            began = time.monotonic()
            victim.good_client_works()
            took = time.monotonic() - began
            assert took < 2 * patience.factor(), f"a good client waited {took:.1f} s"
            time.sleep(max(0, 1 - took))
        for byte in whole[4:]:
            c.socket.sendall(bytes([byte]))
            time.sleep(0.01)
        equal(c.receive()[0], 77, "correlation id")


def fill(size):
    """At least this many bytes in the attacked topic, in batches of 500 KB. Gives the offset where they begin."""
    with connect() as c:
        value = bytes(500_000)
        whole = frames.batch([frames.record(value=value)])
        first = None
        for _ in range(size // len(value) + 1):
            error, offset = frames.produced(c.ask(PRODUCE, 7, frames.produce_body(TOPIC, whole)))
            equal(error, 0, "Produce")
            first = offset if first is None else first
    return first


@hostile("clients that ask for 200 MB each and read nothing: memory is bounded, others are served", timeout_s=40)
def deaf():
    first = fill(10_000_000)
    asked = frames.fetch_body(TOPIC, first, partition_bytes=10_000_000)
    held = []
    for _ in range(12):
        c = Connection(victim.port(), timeout_s=15)
        victim.small_window(c)
        c.socket.setblocking(False)
        try:
            c.socket.send(b"".join(frame(header(FETCH, 7, i) + asked) for i in range(200)))
        except BlockingIOError:
            pass
        c.socket.settimeout(15)
        held.append(c)
    for _ in range(5):
        began = time.monotonic()
        victim.good_client_works()
        took = time.monotonic() - began
        assert took < 3 * patience.factor(), f"a good client waited {took:.1f} s"
        victim.memory_is_bounded()
        time.sleep(0.1)
    for i in range(3):  # one of them has an ear after all
        equal(held[0].receive()[0], i, "correlation id")
    for c in held:
        c.close()


@hostile("clients that send for ever and read no answer: the broker stops reading them", timeout_s=40)
def greedy():
    held, sent = [], 0
    burst = b"".join(frame(header(METADATA, 1, i) + struct.pack(">i", -1)) for i in range(500))
    for _ in range(4):
        c = connect()
        victim.small_window(c)
        c.socket.setblocking(False)
        held.append(c)
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        for c in held:
            try:
                sent += c.socket.send(burst)
            except BlockingIOError:
                time.sleep(0.001)
    victim.good_client_works()
    victim.memory_is_bounded()
    for c in held:
        c.close()


@hostile("3,000 connections opened and dropped, some in the middle of a frame, some by a reset", timeout_s=40)
def churn():
    before = victim.descriptors()
    for i in range(3000):
        c = connect()
        if i % 3 == 1:
            c.socket.sendall(frame(header(METADATA, 1) + METADATA_ONE)[: 1 + i % 20])
        if i % 3 == 2:
            procs.reset_on_close(c.socket)
        c.close()
        if i % 500 == 0:
            victim.good_client_works()
    eventually(lambda: victim.descriptors() <= before + 4, what="the broker has closed its ends")


@hostile("1,500 connections at once: each is answered", timeout_s=40, limit_kb=128 << 10)
def many():
    before = victim.descriptors()
    held = [connect() for _ in range(1500)]
    for c in held:
        c.send(API_VERSIONS, 0)
    for c in held:
        equal(c.receive()[1][:2], b"\0\0", "error")
    victim.good_client_works()
    for c in held:
        c.close()
    eventually(lambda: victim.descriptors() <= before + 4, what="the broker has closed its ends")


@hostile("500 fetches that wait for ever, whose clients go away: nothing is left of them", timeout_s=40)
def abandoned():
    before = victim.descriptors()
    end = victim.end_offset()
    body = frames.fetch_body(TOPIC, end, wait_ms=(1 << 31) - 1, min_bytes=(1 << 31) - 1)
    held = [connect() for _ in range(500)]
    for c in held:
        c.send(FETCH, 7, body)
    victim.good_client_works()
    for i, c in enumerate(held):
        if i % 2:
            procs.reset_on_close(c.socket)
        c.close()
    eventually(lambda: victim.descriptors() <= before + 4, what="the broker has closed its ends")


@hostile("half-close: the broker ends the connection, and what it still answers is in order")
def half_close():
    with connect() as c:
        requests = [c.send(METADATA, 1, METADATA_ONE) for _ in range(5)]
        c.socket.shutdown(socket.SHUT_WR)
        for wanted in requests:
            try:
                equal(c.receive()[0], wanted, "correlation id")
            except EOFError:
                break
        assert c.is_closed(5), "the connection stays open"


@hostile("half-close while a fetch waits: its place is free soon")
def half_close_waiting():
    before = victim.descriptors()
    c = connect()
    c.send(FETCH, 7, frames.fetch_body(TOPIC, victim.end_offset(), wait_ms=60_000))
    c.socket.shutdown(socket.SHUT_WR)
    assert c.is_closed(5), "the connection stays open"
    c.close()
    eventually(lambda: victim.descriptors() <= before + 4, what="the broker has closed its end")


@hostile("fetches that ask for what cannot be: Kafka's errors")
def odd_fetches():
    def ask(**more):
        with connect() as c:
            return frames.fetched(c.ask(FETCH, 7, frames.fetch_body(more.pop("topic", TOPIC), **more)))[:2]

    equal(ask(offset=-1), (0, frames.OFFSET_OUT_OF_RANGE), "offset -1")
    equal(ask(offset=(1 << 63) - 1), (0, frames.OFFSET_OUT_OF_RANGE), "the largest offset")
    equal(ask(partition=-1), (0, frames.UNKNOWN_TOPIC_OR_PARTITION), "partition -1")
    equal(ask(partition=5), (0, frames.UNKNOWN_TOPIC_OR_PARTITION), "partition 5")
    equal(ask(topic="not-there"), (0, frames.UNKNOWN_TOPIC_OR_PARTITION), "unknown topic")
    equal(ask(session=(4711, 3))[0], frames.FETCH_SESSION_ID_NOT_FOUND, "an unknown session")
    equal(ask(wait_ms=-1), (0, 0), "negative wait")
    ask(min_bytes=-1, partition_bytes=-1)  # Kafka's answer is UNKNOWN_SERVER_ERROR: any answer will do


@hostile("topics that cannot be created: an error each, in bounded time")
def odd_topics():
    def create(name, *expected, **more):
        with connect() as c:
            error = frames.created(c.ask(frames.CREATE_TOPICS, 2, frames.create_body(name, **more)))
        assert len(error) == 1 and error[0] in expected, f"{name[:20]!r} {more}: {error}, not {expected}"

    for name in ("", ".", "..", "a/b", "a b", "x" * 250, "tab\t", "nul\0"):
        create(name, frames.INVALID_TOPIC_EXCEPTION)
    create("odd", frames.INVALID_PARTITIONS, partitions=0)
    create("odd", frames.INVALID_PARTITIONS, partitions=-5)
    create("odd", frames.INVALID_PARTITIONS, frames.POLICY_VIOLATION, frames.INVALID_REQUEST, partitions=(1 << 31) - 1)
    create("odd", frames.INVALID_REPLICATION_FACTOR, replicas=0)
    create("odd", frames.INVALID_REPLICATION_FACTOR, replicas=3)
    with connect() as c:
        answer = c.ask(frames.CREATE_TOPICS, 2, frames.create_body("twice", "twice"))
    equal(set(frames.created(answer)), {frames.INVALID_REQUEST}, "one name twice in a request")


def pages_in_use():
    """Pages of the store that hold something, as mdb_stat sees them while the broker runs."""
    told = subprocess.run(["mdb_stat", "-ef", victim.broker.data], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"pages used: (\d+)", told)[1]) - int(re.search(r"Free pages: (\d+)", told)[1])


@hostile("a topic filled with 50 MB and deleted, five times over: the store gives the room back")
def fill_and_delete():
    if victim.PEER or not shutil.which("mdb_stat"):
        raise Skip("mdb_stat (lmdb-utils) has to look into the store")
    before, full, name = pages_in_use(), 0, TOPIC + "-filled"
    whole = frames.batch([frames.record(value=bytes(1_000_000))])
    for _ in range(5):
        with connect() as c:
            c.ask(frames.CREATE_TOPICS, 2, frames.create_body(name))
            for _ in range(50):
                equal(frames.produced(c.ask(PRODUCE, 7, frames.produce_body(name, whole, acks=1)))[0], 0, "Produce")
            full = full or pages_in_use()
            assert full > before + 10_000, f"{before} pages in use before, {full} with 50 MB more"
            c.ask(frames.DELETE_TOPICS, 1, frames.array(frames.string(name)) + struct.pack(">i", 10_000))
        eventually(lambda: pages_in_use() < before + 2000, what="the deleted topic's pages are free")


@hostile("metadata of names that cannot be: an error each, no topic")
def odd_names():
    with connect() as c:
        answer = c.ask(METADATA, 1, frames.array(frames.string("no/slash")))
    assert struct.pack(">h", frames.INVALID_TOPIC_EXCEPTION) + frames.string("no/slash") in answer, "no error 17"


@hostile("idle connections are closed after connections.max.idle.ms, busy ones are not")
def idle():
    if victim.PEER:
        return
    with Broker(workers=1, options=["-o", "connections.max.idle.ms=1000"]) as own:
        with Connection(own.port) as idle_one, Connection(own.port) as busy:
            idle_one.ask(API_VERSIONS, 0)
            began = time.monotonic()
            idle_one.socket.setblocking(False)
            while True:
                busy.ask(API_VERSIONS, 0)
                try:
                    equal(idle_one.socket.recv(1), b"", "what the idle connection got")
                    break
                except BlockingIOError:
                    took = time.monotonic() - began
                    assert took < 5 * patience.factor(), "still open after 5 s"
                    time.sleep(0.05)
            assert time.monotonic() - began > 0.8, "closed too early"
            busy.ask(API_VERSIONS, 0)


@hostile("a million empty names in one request: what it took is given back", timeout_s=40)
def many_names():
    with connect() as c:
        c.socket.sendall(frame(header(METADATA, 4, 5) + victim.i32(1_000_000) + bytes(2_000_000) + b"\0"))
        equal(c.receive()[0], 5, "correlation id")
