"""No room: on the disk, in the map, in the file. Appends are refused and everything else goes on; what was acknowledged is
there; and when there is room again it is used, without a restart."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile

import frames
import machine
import raw
from frames import CREATE_TOPICS, DELETE_TOPICS, KAFKA_STORAGE_ERROR, array, string
from harness import kcat, patience
from harness.cases import case, equal, eventually, note
from log import Log
from machine import Limited
from raw import COORDINATOR_NOT_AVAILABLE

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

SMALL = ("-o", "store.map.bytes=134217728")  # a reserve of 8 MB
NEVER = ("-o", "log.retention.check.interval.ms=3600000")


class Group:
    """A group with one member and a committed offset, as one would have had it before the disk was full."""

    def __init__(self, broker, topic):
        self.topic = topic
        self.connect(broker)
        joined = self.client.joined("readers", session=60000)
        self.member, self.generation = joined["member"], joined["generation"]
        equal(self.client.sync("readers", self.generation, self.member, [(self.member, b"a")])[0], 0, "SyncGroup")
        self.offset = 0
        self.works()

    def connect(self, broker):
        self.client = raw.Client(broker)

    def works(self):
        """Heartbeats, and offsets of partitions that it had committed before."""
        equal(self.client.heartbeat("readers", self.generation, self.member), 0, "Heartbeat")
        self.offset += 1
        equal(self.client.commit("readers", self.topic, self.offset, self.generation, self.member), 0, "OffsetCommit")
        equal(self.client.committed("readers", self.topic)[0], self.offset, "the committed offset")

    def new_ones_wait(self):
        """New groups and new offsets are refused, with an error that clients repeat."""
        equal(self.client.joined("new")["error"], COORDINATOR_NOT_AVAILABLE, "JoinGroup of a new group")
        error = self.client.commit("readers", self.topic, 1, self.generation, self.member, partition=1)
        equal(error, COORDINATOR_NOT_AVAILABLE, "a first OffsetCommit of a partition")


def delete(broker, *topics):
    with broker.connect() as c:
        c.ask(DELETE_TOPICS, 1, array(*map(string, topics)) + b"\0\0\x27\x10")


def room_again(log):
    """Without a restart."""
    eventually(lambda: log.append() == 0, 15, "appends are accepted again", 0.1)


def refused_says_librdkafka(broker):
    """What a client that others wrote does: repeats, until its own time is over."""
    reports = []
    producer = Producer({"bootstrap.servers": broker.bootstrap, "message.timeout.ms": 1500, "log_level": 2})
    producer.produce("kept", b"x" * 100, partition=0, on_delivery=lambda error, message: reports.append(error))
    producer.flush(10 * patience.factor())
    equal([r.name() for r in reports], ["_MSG_TIMED_OUT"], "librdkafka's report")


def delivered_in_the_end(broker):
    """A producer that is patient gets its message through once there is room; the function waits for it."""
    reports = []
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap, "message.timeout.ms": 60000, "log_level": 2, "enable.idempotence": True,
         "retry.backoff.ms": 50}
    )  # fmt: skip
    producer.produce("kept", b"patience", partition=0, on_delivery=lambda error, message: reports.append(error))
    producer.poll(0)

    def wait():
        producer.flush(30 * patience.factor())
        equal(reports, [None], "a patient producer's report")

    return wait


def story(broker, make_room, outside=None):
    """
    Fill it, look at what goes on, kill it while it is full, make room. make_room(broker, log) makes it inside the store;
    outside: (take, give back) of the disk, or None.
    """
    with broker.connect() as c:
        equal(frames.created(c.ask(CREATE_TOPICS, 2, frames.create_body("kept", partitions=2))), [0], "CreateTopics")
    kept, log = Log(broker, "kept-batches"), Log(broker, "much")
    for _ in range(3):
        kept.append()
    group = Group(broker, "kept")
    note(f"full after {log.fill()} batches of 400 KB")
    if outside:
        outside[0]()
    assert "disk full, appends are refused" in broker.log(), broker.log()[-2000:]
    equal(kept.append(), KAFKA_STORAGE_ERROR, "Produce to another topic")

    def goes_on():
        with broker.connect() as c:
            name = f"made-while-full-{broker.pid}"
            equal(frames.created(c.ask(CREATE_TOPICS, 2, frames.create_body(name))), [0], "CreateTopics")
        log.check()
        kept.check()
        group.works()
        group.new_ones_wait()

    goes_on()
    refused_says_librdkafka(broker)
    assert "batch refused" not in broker.log(), "a line for each attempt, on a full disk"
    broker.kill()
    broker.start()
    for one in (kept, log, group):
        one.connect(broker)
    equal(log.append(), KAFKA_STORAGE_ERROR, "Produce after a start on a full disk")
    goes_on()
    patient = delivered_in_the_end(broker)
    make_room(broker, log)
    room_again(kept)
    patient()
    kept.check()
    group.works()
    equal(group.client.joined("new")["error"], 0, "a new group")
    if outside:
        outside[1]()


def by_deletion(broker, _log):
    delete(broker, "much")


def story_on(kind, megabytes):
    with machine.disk(kind, megabytes) as folder:
        data, path = os.path.join(folder, "data"), os.path.join(folder, "log")
        with Limited(workers=2, data=data, log_path=path, options=[*SMALL, *NEVER]) as broker:
            outside = lambda: machine.fill_up(folder), lambda: machine.give_back(folder)  # noqa: E731
            story(broker.expect_deaths(), by_deletion, outside)
            for line in broker.log().splitlines():
                assert line.startswith("20"), f"half a line in the log: {line!r}"


@case("a full disk (tmpfs): nothing acknowledged is missing, all else goes on, it recovers; its log is there, too", 60)
def full_tmpfs():
    story_on("tmpfs", 48)


@case("a full disk (ext4)", 60)
def full_ext4():
    story_on("ext4", 64)


@case("a full map (store.map.bytes)", 60)
def full_map():
    with Limited(workers=2, options=["-o", "store.map.bytes=33554432", *NEVER]) as broker:
        story(broker.expect_deaths(), by_deletion)


@case("a file as large as it may be (RLIMIT_FSIZE); retention makes the room", 60)
def full_file():
    folder = tempfile.mkdtemp(prefix="limits-")
    file = os.path.join(folder, "properties")

    def write(retention_bytes):
        with open(file, "w", encoding="ascii") as to:
            to.write(f"store.map.bytes=134217728\nlog.retention.check.interval.ms=200\nlog.retention.bytes={retention_bytes}\n")

    def by_retention(broker, log):
        write(2_000_000)
        os.kill(broker.pid, signal.SIGHUP)
        eventually(lambda: first_offset(broker, log.topic) > 0, 10, "retention has let go of something", 0.05)
        log.first = len(log.stored)

    write(-1)
    try:
        with Limited(workers=2, wrap=["prlimit", f"--fsize={32 << 20}"], options=["-c", file]) as broker:
            story(broker.expect_deaths(), by_retention)
    finally:
        shutil.rmtree(folder)


def first_offset(broker, topic):
    with broker.connect() as c:
        error, offset = frames.offset_of(c.ask(frames.LIST_OFFSETS, 1, frames.offsets_body(topic, time=-2)))
    equal(error, 0, "ListOffsets")
    return offset


@case("room that is made outside is found by itself", 30)
def room_outside():
    with machine.disk("tmpfs", 48) as folder:
        with Limited(workers=1, data=os.path.join(folder, "data"), options=[*SMALL, *NEVER]) as broker:
            log = Log(broker, "t")
            log.append()
            machine.fill_up(folder)
            log.fill()
            equal(log.append(), KAFKA_STORAGE_ERROR, "Produce")
            machine.give_back(folder)
            room_again(log)
            log.check()


@case("a full disk as kcat, an admin client and an idempotent producer see it", 40)
def clients():
    with Limited(workers=2, options=["-o", "store.map.bytes=16777216", *NEVER]) as broker:
        log = Log(broker, "much")
        with broker.connect() as c:
            c.ask(CREATE_TOPICS, 2, frames.create_body("kept", partitions=2))
        log.fill()
        try:
            kcat.kcat("-P", "-t", "kept", "-X", "message.timeout.ms=1000", stdin=b"x\n", bootstrap=broker.bootstrap)
            raise AssertionError("kcat says that it has delivered")
        except kcat.KcatError as error:
            assert "timed out" in str(error), error
        equal(kcat.consume("kept", bootstrap=broker.bootstrap), [], "what of it is stored")
        equal(len(kcat.consume("much", "-o", "-2", bootstrap=broker.bootstrap)), 2, "what kcat reads of the other")
        admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 2})
        assert "much" in admin.list_topics(timeout=5).topics, "metadata"
        patient = delivered_in_the_end(broker)  # InitProducerId goes on, too
        with contextlib.suppress(KafkaException):
            admin.delete_topics(["much"])["much"].result(10)
        patient()


# --- a start without room ---------------------------------------------------------------------------------------


@case("no room to make a store: a clear message, status 1", 30)
def no_room_to_begin():
    with machine.disk("tmpfs", 8) as folder:
        machine.fill_up(folder)
        status, log = Limited(workers=1, data=os.path.join(folder, "data")).ends_by_itself()
        equal(status, 1, f"exit status; it said\n{log}")
        assert "No space left on device" in log, log


@case("no room for the checkpoint file, though the store is there: a clear message, status 1; then room, and it starts", 40)
def no_room_for_the_side_file():
    with machine.disk("tmpfs", 48) as folder:
        data = os.path.join(folder, "data")
        with Limited(workers=1, data=data, options=SMALL) as broker:
            log = Log(broker, "t")
            log.append()
        os.remove(os.path.join(data, "ckpt"))
        machine.fill_up(folder)
        status, said = Limited(workers=1, data=data, options=SMALL).ends_by_itself()
        equal(status, 1, f"exit status; it said\n{said}")
        assert "ckpt" in said and "No space left on device" in said, said
        machine.give_back(folder)
        with Limited(workers=1, data=data, options=SMALL) as broker:
            log.connect(broker)
            log.check()
            equal(log.append(), 0, "Produce")


@case("a restored backup (data.mdb alone, without a reserve) starts where there is no room but for its side file", 40)
def restored_without_reserve():
    with machine.disk("tmpfs", 48) as folder:
        data = os.path.join(folder, "data")
        with Limited(workers=1, data=data, options=SMALL) as broker:
            log = Log(broker, "t")
            for _ in range(5):
                log.append()
        copy = os.path.join(folder, "copy")
        os.mkdir(copy)
        for name in os.listdir(data):
            shutil.copy(os.path.join(data, name), copy)  # not what lies behind the end: no reserve
        shutil.rmtree(data)
        machine.fill_up(folder)
        with Limited(workers=1, data=copy, options=SMALL) as broker:
            log.connect(broker)
            equal(log.append(), KAFKA_STORAGE_ERROR, "Produce")
            log.check()
            machine.give_back(folder)
            room_again(log)
