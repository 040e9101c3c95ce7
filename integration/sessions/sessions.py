"""Fetch sessions: what is told, what is left out, and that nothing is ever missed."""

import os
import random
import signal
import threading
import time

import confluent_kafka.admin
import raw
from confluent_kafka import Producer
from fetching import FETCH, MIXED, NEW, NONE, NOT_FOUND, OUT_OF_RANGE, UNKNOWN_ID, UNKNOWN_TOPIC, WRONG_EPOCH, Fetcher, offset_behind
from harness import patience
from harness.broker import Broker
from harness.cases import case, equal, eventually, note, run_cases

BROKER = Broker(workers=2, options=["-o", "log.retention.check.interval.ms=100"]).start()
VERSIONS = range(7, 18)


def admin(broker=None):
    return confluent_kafka.admin.AdminClient({"bootstrap.servers": (broker or BROKER).bootstrap})


def create(topic, partitions=4, broker=None, **config):
    client = admin(broker)  # which must outlive what it does
    client.create_topics([confluent_kafka.admin.NewTopic(topic, partitions, 1, config=config)])[topic].result(20)


def delete(topic):
    client = admin()
    client.delete_topics([topic])[topic].result(20)


def write(topic, *partitions, broker=None):
    producer = Producer({"bootstrap.servers": (broker or BROKER).bootstrap, "linger.ms": 0})
    for partition in partitions:
        producer.produce(topic, b"x" * 100, partition=partition)
    assert producer.flush(20) == 0


def all_of(topic, n, offset=0):
    return {(topic, p): offset for p in range(n)}


@case("every version: all at first, then only what has changed", timeout_s=60)
def versions():
    for version in VERSIONS:
        topic = f"v{version}"
        create(topic)
        c = Fetcher(BROKER, version)
        equal(set(c.fetch(all_of(topic, 4))), set(all_of(topic, 4)), f"v{version} first")
        equal(c.fetch(), {}, f"v{version} nothing new")
        c.send(wait=60000)
        write(topic, 2, 2)
        error, id_, told = c.receive()
        equal((error, id_, list(told)), (0, c.id, [(topic, 2)]), f"v{version} one has moved")
        behind = offset_behind(told[topic, 2]["records"])
        equal(list(c.fetch()), [(topic, 2)], f"v{version} not read on: told again")
        if behind < 2:  # the other was not visible yet
            equal(list(c.fetch({(topic, 2): behind}, wait=20000)), [(topic, 2)])
        c.fetch({(topic, 2): 2})
        equal(c.fetch(), {}, f"v{version} read to its end")
        equal(c.ask(epoch=NONE)[:2], (0, 0), f"v{version} closed")
        equal(c.ask()[0], NOT_FOUND, f"v{version} and gone")
        c.close()


@case("wrong ids and epochs, names and topic ids mixed: the errors that Kafka gives")
def errors():
    create("errors")
    c, other = Fetcher(BROKER, 12), Fetcher(BROKER, 12)
    c.fetch(all_of("errors", 2))
    equal(c.ask(id=c.id ^ 1), (NOT_FOUND, 0, {}))
    equal(c.ask(id=0), (NOT_FOUND, 0, {}), "no id, and an epoch")
    equal(other.ask(id=c.id, epoch=1), (NOT_FOUND, 0, {}), "another connection")
    for epoch in (c.epoch + 1, 99, -7, 2**31 - 1):
        equal(c.ask(epoch=epoch), (WRONG_EPOCH, 0, {}), f"epoch {epoch}")
    c.version = 13
    equal(c.ask(), (MIXED, 0, {}))
    c.version = 12
    equal(c.fetch(), {}, "and goes on")
    old = c.id
    error, new, told = c.ask(all_of("errors", 3), epoch=NEW)
    equal((error, len(told)), (0, 3))
    assert new not in (0, old), "a session that is begun anew has another id"
    equal(c.ask(id=old)[0], NOT_FOUND)
    equal(c.ask(all_of("errors", 3), id=0, epoch=NONE)[1], 0, "without a session, beside it")
    equal(c.ask(all_of("errors", 3), id=-1, epoch=NONE)[:2], (0, 0), "likewise, as kafka-go's Client says it")
    equal(c.ask(id=new, epoch=1)[:2], (0, new))
    error, empty, told = c.ask(epoch=NEW, wait=60000)  # of nothing there is nothing to wait for
    equal((error, empty not in (0, new), told), (0, True, {}))
    equal(c.ask(id=0, epoch=NONE, wait=60000), (0, 0, {}))
    c.close(), other.close()


@case("partitions are forgotten, and come back")
def forgotten():
    create("forgotten")
    c = Fetcher(BROKER, 13)
    c.fetch(all_of("forgotten", 4))
    c.fetch(forget=[("forgotten", 1), ("forgotten", 3), ("forgotten", 77)])
    write("forgotten", 1, 3, 0)
    equal(list(c.fetch(wait=20000)), [("forgotten", 0)])
    told = c.fetch({("forgotten", 1): 1, ("forgotten", 0): 1})
    equal(list(told), [("forgotten", 1)], "told anew, though there is nothing to read")
    equal(told["forgotten", 1]["high_watermark"], 1)
    error, id_, told = c.ask(forget=[("forgotten", p) for p in range(4)])
    equal((error, id_, told), (0, 0, {}), "the last one forgotten: the end")
    equal(c.ask(epoch=c.epoch + 1)[0], NOT_FOUND)
    c.close()


@case("room for one batch: a new session names all, then each partition has its turn")
def turns():
    create("turns", 4)
    write("turns", 0, 1, 2, 3)
    c = Fetcher(BROKER, 11)
    everybody = set(all_of("turns", 4))
    eventually(lambda: all(p["high_watermark"] for p in c.ask(all_of("turns", 4), epoch=NONE)[2].values()), 10, "visible")
    told = c.fetch(all_of("turns", 4), max_bytes=1)
    equal(set(told), everybody)
    equal([k[1] for k, v in told.items() if v["records"]], [0])
    given = [[k[1] for k, v in c.fetch(max_bytes=1).items() if v["records"]] for _ in range(8)]
    equal(given, [[1], [2], [3], [0]] * 2)
    c.close()


@case("a topic is deleted and made again under a session, by name and by id")
def deleted():
    for version, error in ((12, UNKNOWN_TOPIC), (17, UNKNOWN_ID)):
        topic = f"deleted{version}"
        create(topic, 2)
        create(topic + "-stays", 1)
        c = Fetcher(BROKER, version)
        c.fetch({**all_of(topic, 2), (topic + "-stays", 0): 0})
        delete(topic)
        for i in range(3):
            told = c.fetch(wait=20000 if i == 0 else 0)
            equal({k: v["error"] for k, v in told.items()}, {(topic, 0): error, (topic, 1): error}, "each time")
        create(topic, 2)
        write(topic, 1)
        if version < 13:
            told = c.fetch(wait=20000)
            equal({k: v["high_watermark"] for k, v in told.items()}, {(topic, 0): 0, (topic, 1): 1}, "found by its name")
            c.fetch({(topic, 1): 1})
        else:
            equal({v["error"] for v in c.fetch().values()}, {error}, "the id is nobody's")
            gone = c.request(forget=[(topic, 0), (topic, 1)])
            c.learn(topic)
            gone["topics"] = c.request(all_of(topic, 2))["topics"]
            _, _, told = c.understand(c.client.ask(FETCH, version, **gone))
            c.epoch += 1
            equal({k: v["high_watermark"] for k, v in told.items()}, {(topic, 0): 0, (topic, 1): 1}, "replaced")
            c.fetch({(topic, 1): 1})
        equal(c.fetch(), {}, "quiet")
        c.close()


@case("a partition that is not there yet is told as missing until it is made")
def grows():
    create("grows", 2)
    c = Fetcher(BROKER, 11)
    for i in range(3):
        told = c.fetch(all_of("grows", 3) if i == 0 else {})
        equal(told["grows", 2]["error"], UNKNOWN_TOPIC)
        equal(len(told), 3 if i == 0 else 1)
    client = admin()
    client.create_partitions([confluent_kafka.admin.NewPartitions("grows", 3)])["grows"].result(20)
    equal([(k, v["error"]) for k, v in c.fetch().items()], [(("grows", 2), 0)], "made: told once")
    equal(c.fetch(), {})
    write("grows", 2)
    equal(list(c.fetch(wait=20000)), [("grows", 2)])
    c.close()


@case("retention under a session: out of range each time, until the client reads from elsewhere")
def truncated():
    create("truncated", 3, **{"retention.ms": "1000"})
    c, look = Fetcher(BROKER, 11), Fetcher(BROKER, 11)
    c.fetch(all_of("truncated", 3))
    write("truncated", *[1] * 20)
    c.fetch(wait=20000)

    def starts():
        return look.ask({("truncated", 1): 20}, epoch=NONE)[2]["truncated", 1]["log_start"] == 20

    eventually(starts, 20, "all is old")
    for _ in range(4):
        equal({k: v["error"] for k, v in c.fetch(wait=20000).items()}, {("truncated", 1): OUT_OF_RANGE})
    told = c.fetch({("truncated", 1): 20})
    equal([(v["error"], v["log_start"]) for v in told.values()], [(0, 20)])
    equal(c.fetch(), {})
    c.close(), look.close()


@case("two fetches in one packet are served one after the other")
def pipelined():
    create("pipelined", 1)
    c = Fetcher(BROKER, 11)
    c.fetch({("pipelined", 0): 0})
    for _ in range(3):
        c.send(wait=100)
    answers = [c.client.wire.receive() for _ in range(3)]
    equal([correlation for correlation, _ in answers], sorted(correlation for correlation, _ in answers))
    for _, answer in answers:
        equal(c.understand(raw.codec.decode(FETCH, 11, "response", answer)), (0, c.id, {}))
    c.send(wait=100)
    c.send(epoch=NONE)  # the end of what still waits
    answers = [c.understand(raw.codec.decode(FETCH, 11, "response", c.client.wire.receive()[1])) for _ in range(2)]
    equal(answers, [(0, c.id, {}), (0, 0, {})])
    c.close()


@case("who gets no slot goes on without a session; 0 slots: nobody gets one")
def slots():
    for most in (1, 0):
        options = ["-o", f"max.incremental.fetch.session.cache.slots={most}"]
        with Broker(workers=1, options=options) as broker:
            create("slots", 2, broker=broker)
            first, second = Fetcher(broker, 11), Fetcher(broker, 11)
            given = [f.ask(all_of("slots", 2))[1] != 0 for f in (first, second)]
            equal(given, [most > 0, False])
            first.close()
            if most == 1:
                eventually(lambda: second.ask(all_of("slots", 2))[1] != 0, 10, "a slot that is given back is given again")
            second.close()


@case("a worker is killed: its sessions are not found, and begun anew")
def killed():
    with Broker(workers=2) as broker:
        broker.expect_deaths()
        create("killed", 2, broker=broker)
        c = Fetcher(broker, 11)
        c.fetch(all_of("killed", 2))
        os.kill(broker.worker_of(c.client.wire.local_port)[1], signal.SIGKILL)
        c.client.close()
        again = eventually(lambda: reconnect(broker), 10, "a worker")
        again.id, again.epoch = c.id, c.epoch
        equal(again.ask()[0], NOT_FOUND)
        again.id, again.epoch = 0, NEW
        equal(len(again.fetch(all_of("killed", 2))), 2)
        again.close()


def reconnect(broker):
    try:
        return Fetcher(broker, 11)
    except OSError:
        return None


class Writer:
    """Writes to random partitions, in a thread, until it is told to finish; ends: what was acknowledged."""

    def __init__(self, broker, partitions, seed):
        self.producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 0})
        self.partitions, self.dice, self.ends, self.failure = partitions, random.Random(seed), {}, None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _acknowledged(self, error, message):
        self.failure = self.failure or error
        k = message.topic(), message.partition()
        self.ends[k] = max(self.ends.get(k, 0), message.offset() + 1)

    def _run(self):
        while not self.stopping.wait(self.dice.choice((0, 0.001, 0.02))):
            for _ in range(self.dice.choice((1, 1, 10))):
                topic, partition = self.dice.choice(self.partitions)
                size = self.dice.choice((10, 1000))
                self.producer.produce(topic, b"y" * size, partition=partition, on_delivery=self._acknowledged)
            self.producer.poll(0)

    def finish(self):
        self.stopping.set()
        self.thread.join()
        assert self.producer.flush(20) == 0 and self.failure is None, self.failure


class Reader:
    """A client that takes what it is told, and nothing else; a ledger of what it read."""

    def __init__(self, broker, version, partitions):
        self.fetcher = Fetcher(broker, version)
        self.reads = dict.fromkeys(partitions, 0)  # offsets
        self.held, self.want, self.forget = set(partitions), dict(self.reads), []
        self.records, self.fetches, self.late_since, self.worst = 0, 0, {}, 0

    def fetch(self):
        told = self.fetcher.fetch(self.want, self.forget, wait=300)
        self.want, self.forget, self.fetches = {}, [], self.fetches + 1
        for k, p in told.items():
            assert k in self.held, f"{k} was forgotten"
            equal(p["error"], 0, str(k))
            behind = offset_behind(p["records"] or b"")
            if behind is not None:
                assert behind > self.reads[k], f"{k}: nothing new in what ends at {behind}"
                self.records += behind - self.reads[k]
                self.reads[k] = self.want[k] = behind

    def pause(self, k):
        if k not in self.want:
            self.held.discard(k)
            self.forget.append(k)

    def resume(self, k):
        if k not in self.held and k not in self.forget:
            self.held.add(k)
            self.want[k] = self.reads[k]

    def seek_back(self, k):
        if self.reads[k] > 0:
            self.records -= 1
            self.reads[k] = self.want[k] = self.reads[k] - 1

    def check(self, ends):
        """Nothing that was acknowledged before the last fetch has waited for long."""
        now = time.monotonic()
        for k in self.held:
            if self.reads[k] < ends.get(k, 0):
                self.worst = max(self.worst, now - self.late_since.setdefault(k, now))
            else:
                self.late_since.pop(k, None)
        late = {k: (self.reads[k], ends.get(k), self.fetcher.epoch) for k in list(self.late_since)[:3]}
        assert self.worst < LATE_S, f"late by {self.worst:.1f} s: {late}"


# Less than the five seconds after which a session looks at all its partitions in any case.
LATE_S = 3 * patience.factor()


def ledger(durability, version, seconds):
    """1,000 partitions, written to through other workers, while the client forgets, takes back and reads again."""
    seed = random.randrange(1 << 30)
    dice = random.Random(seed)
    note(f"{durability} v{version}: seed {seed}")
    with Broker(workers=3, options=["-o", f"durability={durability}"]) as broker:
        partitions = [(f"t{i}", p) for i in range(10) for p in range(100)]
        for i in range(10):
            create(f"t{i}", 100, broker=broker)
        writers = [Writer(broker, partitions, seed + i) for i in range(2)]
        reader = Reader(broker, version, partitions)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            reader.fetch()
            for k in dice.sample(partitions, dice.choice((0, 0, 20))):
                (reader.pause if k in reader.held else reader.resume)(k)
            k = dice.choice(partitions)
            if k in reader.held and dice.random() < 0.2:
                reader.seek_back(k)
            reader.check({k: max(w.ends.get(k, 0) for w in writers) for k in partitions})
        for writer in writers:
            writer.finish()
        ends = {k: max(w.ends.get(k, 0) for w in writers) for k in partitions}
        while reader.reads != ends or len(reader.held) < len(partitions):
            for k in partitions:
                reader.resume(k)
            reader.fetch()
            reader.check(ends)
        equal(reader.records, sum(ends.values()), "records read")
        reader.fetch()
        equal(reader.fetcher.fetch(), {}, "quiet")
        note(f"{reader.records} records, {reader.fetches} fetches, the longest wait {reader.worst * 1000:.0f} ms")
        reader.fetcher.close()


for durability, version in (("durable", 17), ("relaxed", 11), ("strict", 12)):
    case(f"nothing is missed in 1,000 partitions: {durability}", timeout_s=60)(
        lambda durability=durability, version=version: ledger(durability, version, 4)
    )

case("franz-go's codec reads the same in all that was said and answered, and writes the same bytes", timeout_s=120)(
    raw.judge_exchanges
)


def end():
    wrong = BROKER.stop()
    BROKER.remove()
    assert not wrong, wrong


case("the broker ends well")(end)

if __name__ == "__main__":
    run_cases()
