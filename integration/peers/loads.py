"""The loads, in parts; each part is a function of (session, broker) that runs all its loads against one broker.

`PARTS` is the order in which they run: what leaves much to delete comes last.
"""

import os
import socket
import struct
import subprocess
import time

from brokers import Watch
from session import Failed, parse_java_consumer, parse_java_latency, parse_java_producer, parse_key_values

PARTITIONS = 4
QUEUE_KB = 64000  # librdkafka's: a load shall not end with a gigabyte that is still on its way
IDLE_CONNECTIONS = 1000


def what(load, client, size, partitions=PARTITIONS, producers=1, flight="", codec=""):
    """A load's description, the same for both brokers and in all rounds: by it medians are taken."""
    return {
        "load": load,
        "client": client,
        "size": size,
        "partitions": partitions,
        "producers": producers,
        "flight": flight,
        "codec": codec,
    }


def relaxed(broker):
    return broker.durability == "relaxed"


# ---- librdkafka -------------------------------------------------------------------------------------------------


def produce_with_librdkafka(session, broker, topic, size, partitions=PARTITIONS, producers=1, codec="", load="produce"):
    queue_kb = max(QUEUE_KB // producers // (4 if codec else 1), 2000)
    arguments = ["-b", broker.bootstrap, "-t", topic, "-p", partitions, "-s", size, "-a", "all", "-k", producers]
    arguments += ["-T", session.profile.seconds, "-q", queue_kb, *(["-z", codec] if codec else [])]
    described = what(load, "librdkafka", size, partitions, producers, "pipelined", codec)
    return session.measure(broker, described, session.program("load", "produce", *arguments), parse_key_values)


def consume_with_librdkafka(session, broker, topic, size, messages, load="consume"):
    arguments = ["-b", broker.bootstrap, "-t", topic, "-p", PARTITIONS, "-s", size, "-n", int(messages)]
    described = what(load, "librdkafka", size)
    return session.measure(broker, described, session.program("load", "consume", *arguments), parse_key_values)


def produce_part(session, broker):
    for size in session.profile.sizes:
        with session.topic(broker, PARTITIONS) as topic:
            done = produce_with_librdkafka(session, broker, topic, size)
            if done and relaxed(broker):
                consume_with_librdkafka(session, broker, topic, size, done["messages"])


def producers_part(session, broker):
    """1 is in produce_part."""
    for producers in session.profile.producers:
        with session.topic(broker, PARTITIONS) as topic:
            produce_with_librdkafka(session, broker, topic, 1000, producers=producers)


def codecs_part(session, broker):
    for codec in ("lz4", "zstd"):
        with session.topic(broker, PARTITIONS) as topic:
            produce_with_librdkafka(session, broker, topic, 1000, codec=codec)


def together_part(session, broker):
    """A producer and a consumer at once, as fast as it goes; and at a steady rate, for the time from one to the other."""
    arguments = ["-b", broker.bootstrap, "-p", PARTITIONS, "-s", 1000, "-a", "all", "-T", session.profile.seconds]
    with session.topic(broker, PARTITIONS) as topic:
        command = session.program("load", "together", *arguments, "-q", QUEUE_KB, "-t", topic)
        session.measure(broker, what("both", "librdkafka", 1000, flight="pipelined"), command, parse_key_values)
    with session.topic(broker, PARTITIONS) as topic:
        command = session.program("load", "relay", *arguments, "-r", 20000, "-t", topic)
        session.measure(broker, what("relay at 20 MB/s", "librdkafka", 1000), command, parse_key_values)


# ---- raw requests: what the broker does when the client costs next to nothing -------------------------------------


def raw_part(session, broker):
    for size in session.profile.raw_sizes:
        with session.topic(broker, PARTITIONS) as topic:
            arguments = ["-b", broker.bootstrap, "-t", topic, "-p", PARTITIONS, "-s", size]
            produce = ["-m", 100000 // size, "-a", "all", "-T", session.profile.seconds, "-M", 1000]
            described = what("produce", "raw", size, producers=4, flight="5 requests of 100 KB")
            session.measure(broker, described, session.program("raw", "produce", *arguments, *produce), parse_key_values)
            if relaxed(broker):
                described = what("consume", "raw", size, producers=0)
                session.measure(broker, described, session.program("raw", "fetch", *arguments), parse_key_values)


def one_part(session, broker):
    with session.topic(broker, 1) as topic:
        arguments = ["-b", broker.bootstrap, "-t", topic, "-p", 1, "-s", 1000, "-m", 1, "-c", 1, "-i", 1, "-a", "all"]
        command = session.program("raw", "produce", *arguments, "-T", session.profile.seconds)
        session.measure(broker, what("one in flight", "raw", 1000, 1, flight="1"), command, parse_key_values)


def partitions_part(session, broker):
    """librdkafka over some; and the same batch of 10 KB to 1 and to 10,000, each in its turn: what an append costs."""
    for partitions in session.profile.partitions:
        if relaxed(broker) or partitions <= 100:
            with session.topic(broker, partitions) as topic:
                produce_with_librdkafka(session, broker, topic, 1000, partitions, load="spread")
    if not relaxed(broker):
        return
    for partitions in (1, session.profile.most_partitions):
        session.settle()
        began = time.monotonic()
        with session.topic(broker, partitions) as topic:
            created = what("create a topic", "raw", 1000, partitions)
            session.keep(broker, created, {"ms": (time.monotonic() - began) * 1e3})
            arguments = ["-b", broker.bootstrap, "-t", topic, "-p", partitions, "-y", "-s", 1000, "-m", 10, "-a", "all"]
            command = session.program("raw", "produce", *arguments, "-T", session.profile.seconds)
            described = what("append in turn", "raw", 1000, partitions, 4, "5 requests of 10 KB")
            session.measure(broker, described, command, parse_key_values)


# ---- Kafka's own tools ---------------------------------------------------------------------------------------------


def java_consume(session, broker, topic, size, messages, load="consume"):
    arguments = ["--bootstrap-server", broker.bootstrap, "--topic", topic, "--messages", int(messages)]
    command = session.java("org.apache.kafka.tools.ConsumerPerformance", *arguments, "--timeout", 20000)
    return session.measure(broker, what(load, "java", size), command, parse_java_consumer(size))


def java_part(session, broker):
    if not session.jars:
        return
    megabytes = session.profile.java_megabytes // (1 if relaxed(broker) else 3)
    for size in session.profile.sizes:
        with session.topic(broker, PARTITIONS) as topic:
            arguments = ["--topic", topic, "--num-records", megabytes * 1000000 // size, "--record-size", size]
            arguments += ["--throughput", "-1", "--producer-props", f"bootstrap.servers={broker.bootstrap}", "acks=all"]
            command = session.java("org.apache.kafka.tools.ProducerPerformance", *arguments)
            described = what("produce", "java", size, flight="pipelined")
            done = session.measure(broker, described, command, parse_java_producer(size))
            if done and relaxed(broker) and size <= 1000:
                java_consume(session, broker, topic, size, done["messages"])
    with session.topic(broker, 1) as topic:
        arguments = [broker.bootstrap, topic, session.profile.java_messages, "all", 1000]
        command = session.java("org.apache.kafka.tools.EndToEndLatency", *arguments)
        session.measure(broker, what("end to end", "java", 1000, 1, flight="1"), command, parse_java_latency)


# ---- What no load shows ----------------------------------------------------------------------------------------------


def idle_part(session, broker):
    """Just started: memory, and the CPU time of doing nothing. Then with many connections that say nothing any more."""
    session.settle()
    with Watch(broker) as watch:
        time.sleep(1)
    everything, besides = broker.resident_mb()
    session.keep(broker, what("idle", "", 0, 0, 0), {"mb": everything, "mb_besides_store": besides, "busy": watch.cpu_s})
    before = broker.own_mb()
    held = [greeted(broker.port) for _ in range(IDLE_CONNECTIONS)]
    more = broker.own_mb() - before
    for connection in held:
        connection.close()
    session.keep(broker, what("1,000 idle connections", "", 0, 0, 0), {"mb": more})


def greeted(port):
    """A connection that has asked for ApiVersions and has its answer."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
    left = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))[0]
    connection.recv(left, socket.MSG_WAITALL)
    return connection


def start_on_nothing(session, broker):
    """From fork to the first acks=all acknowledgement, on a store that is not there yet; a formatted one for Kafka."""
    broker.prepare()
    start_to_first(session, broker, "start, empty store")
    broker.forget_store()


def start_to_first(session, broker, load):
    """Start the broker, which must not run, on the store it has, and stop it again."""
    session.settle()
    log = os.path.join(broker.folder, "start.log")
    figures = session.key_values("start", broker.bootstrap, log, *broker.command())
    session.keep(broker, what(load, "raw", 100, 0), {"ms": figures["acknowledged_ms"]})


# ---- History ----------------------------------------------------------------------------------------------------------


def history_part(session, broker):
    """Reading what no page cache holds; then a start on that store after SIGKILL of everything."""
    if not relaxed(broker):
        return
    with session.topic(broker, PARTITIONS) as topic:
        arguments = ["-b", broker.bootstrap, "-t", topic, "-p", PARTITIONS, "-s", 1000]
        amount = ["-m", 100, "-a", 1, "-T", 120, "-M", session.profile.history_megabytes]
        messages = session.key_values("raw", "produce", *arguments, *amount)["messages"]
        make_cold(session, broker)
        session.measure(
            broker, what("history", "raw", 1000), session.program("raw", "fetch", *arguments), parse_key_values
        )
        make_cold(session, broker)
        consume_with_librdkafka(session, broker, topic, 1000, messages, load="history")
        if session.jars:
            make_cold(session, broker)
            java_consume(session, broker, topic, 1000, messages, load="history")
        broker.kill()
        start_to_first(session, broker, f"start after SIGKILL, {session.profile.history_megabytes / 1000:g} GB")
        broker.start()


def make_cold(session, broker):
    """Stop the broker, put its files out of the page cache, measure how fast the disk reads them, start it again."""
    broker.stop()
    files = files_of(broker.data)
    for path in files:
        forget_pages(path)
    largest = max(files, key=os.path.getsize)
    read_mb_per_s = read_rate(largest, 300 * 1000000)
    forget_pages(largest)
    cached = cached_mb(files)
    session.write({"round": session.round, "limit": "cold read", "peer": broker.name, "mb_per_s": read_mb_per_s})
    if cached is not None and cached > session.profile.history_megabytes / 20:
        print(f"  {cached:.0f} MB of {broker.name}'s files stay in the page cache: history is not as cold as it should be")
    broker.start()


def files_of(folder):
    return [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]


def forget_pages(path):
    """Clean pages of a file that nobody has mapped leave the page cache (no root is needed for that)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def read_rate(path, most_bytes):
    began, done, buffer = time.monotonic(), 0, bytearray(1 << 20)
    with open(path, "rb", buffering=0) as file:
        while done < most_bytes and (n := file.readinto(buffer)):
            done += n
    return done / 1e6 / (time.monotonic() - began)


def cached_mb(files):
    """What the page cache holds of these files; None where fincore (util-linux) is missing."""
    try:
        done = subprocess.run(["fincore", "-n", "-b", "-o", "RES", *files], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return sum(map(int, done.stdout.split())) / 1e6


# ---- The machine's limits ---------------------------------------------------------------------------------------------


def measure_limits(session, folder):
    """Once in each round, beside the loads that are compared with them."""
    each = {"SECONDS_EACH": str(session.profile.seconds / 2)}
    for arguments in (
        ("memory",),
        ("loopback",),
        ("pair", folder),
        ("disk", folder),
        ("engine", folder, 100000),
        ("engine", folder, 1000000),
    ):
        name = " ".join(str(word) for word in arguments if word != folder)
        try:
            figures = session.key_values("limits", *arguments, environment=each)
        except Failed as failed:
            figures = {"error": str(failed)}
        session.write({"round": session.round, "limit": name, **figures})
        print(f"  {session.round} limit  {name:20} " + " ".join(f"{k}={v}" for k, v in figures.items()), flush=True)


# After these two stages of a broker's life: start_on_nothing, idle_part.
PARTS = {
    "one": one_part,
    "produce": produce_part,
    "producers": producers_part,
    "codecs": codecs_part,
    "together": together_part,
    "raw": raw_part,
    "java": java_part,
    "partitions": partitions_part,
    "history": history_part,
}
