"""What Forka aims at beside its peer and beside the machine, and whether a run has met it.

A target is judged on medians of one run. Where a client takes most of the processors, or one of its threads has always
something to do (threads.py), no broker can be faster than it: then a rate that is short of its aim is said to be the
client's limit, and is not counted as met.
"""

from dataclasses import dataclass

MET, NOT_MET, CLIENT, UNKNOWN = "met", "**not met**", "not met: the client is the limit", "not measured"
CLIENTS = ("librdkafka", "java", "raw")
NEVER_SLEEPS = 0.9  # of the time


@dataclass(frozen=True)
class Target:
    text: str
    what: str
    figure: str
    verdict: str


def at_least(text, what, value, aim, unit="x", excuse=False):
    if value is None:
        return Target(text, what, "-", UNKNOWN)
    verdict = MET if value >= aim else CLIENT if excuse else NOT_MET
    return Target(text, what, f"{value:.3g} {unit}".strip(), verdict)


def at_most(text, what, value, aim, unit="x", floor=None):
    """floor: what the machine takes for it before any broker has done anything."""
    if value is None:
        return Target(text, what, "-", UNKNOWN)
    verdict = MET if value <= aim else NOT_MET
    if verdict == NOT_MET and floor is not None:
        verdict += f": the machine alone takes {floor:.2f} {unit}".rstrip()
    return Target(text, what, f"{value:.3g} {unit}".strip(), verdict)


def client_is_limit(results, row):
    """One of the client's threads never waits for the broker; or hardly a processor is free, and the client has more."""
    fields = ("client_busy", "broker_busy", "client_thread_busy")
    client, broker, thread = (row.value("forka", field) for field in fields) if row else (None, None, None)
    if client is None or broker is None:
        return False
    full = client + broker > 0.8 * results.run.get("processors", 2)
    return (full and client > broker) or (client > broker and (thread or 0) > NEVER_SLEEPS)


def over(a, b):
    return a / b if a is not None and b else None


def value(row, peer, field):
    return row.value(peer, field) if row else None


def better(row, field):
    return row.better(field) if row else None


def durable_produce(results):
    for client in CLIENTS:
        durable = results.find("durable", "produce", client, producers=4 if client == "raw" else 1, codec="")
        relaxed = results.find("relaxed", "produce", client, producers=4 if client == "raw" else 1, codec="")
        what = f"produce 1 KB, {client}"
        yield at_least("durable: 3 times Kafka with flush.messages=1", what, better(durable, "mb_per_s"), 3)
        ours, theirs = value(durable, "forka", "mb_per_s"), value(relaxed, "kafka", "mb_per_s")
        yield at_least("durable: Kafka's page-cache default", what, over(ours, theirs), 1)
    row = results.find("durable", "produce", "raw")
    alone = results.limit("engine 1000000", "synced_mb_per_s")
    yield at_least("durable: 80% of LMDB alone", "produce 1 KB, raw", over(value(row, "forka", "mb_per_s"), alone), 0.8)


def machine_cpu(results, row):
    """CPU-s/GB of what no broker of this kind can leave out: the socket, and for what is written the engine's commit."""
    if row.load != "produce":
        return results.limit("loopback", "sender_cpu_s_per_gb")
    parts = results.limit("loopback", "receiver_cpu_s_per_gb"), results.limit("engine 1000000", "cpu_s_per_gb")
    return None if None in parts else sum(parts)


def rates(results, rows):
    """1.5 times as fast, at a quarter of the CPU time."""
    for row in rows:
        what = f"{row.name()}, {row.client}"
        excuse = client_is_limit(results, row)
        yield at_least("relaxed: 1.5 times Kafka's default", what, row.better("mb_per_s"), 1.5, excuse=excuse)
        theirs = row.value("kafka", "broker_cpu_s_per_gb")
        cpu, floor = over(row.value("forka", "broker_cpu_s_per_gb"), theirs), over(machine_cpu(results, row), theirs)
        yield at_most("the broker's CPU-s/GB: a quarter of Kafka's", what, cpu, 0.25, floor=floor)


def relaxed_produce(results):
    found = [
        results.find("relaxed", "produce", client, size, producers=4 if client == "raw" else 1, codec="")
        for client in CLIENTS
        for size in (100, 1000)
    ]
    return rates(results, [row for row in found if row])


def consume(results):
    found = [row for row in results.rows.values() if row.load in ("consume", "history") and row.figures]
    yield from rates(results, found)
    loopback = results.limit("loopback", "mb_per_s")
    for row in found:
        if row.client == "raw" and row.load == "consume":
            part = over(row.value("forka", "mb_per_s"), loopback)
            yield at_least("consume: 70% of loopback", f"{row.name()}, raw", part, 0.7, excuse=client_is_limit(results, row))


def latencies(results):
    one = results.find("relaxed", "one in flight", "raw")
    for field in ("p50_ms", "p99_ms"):
        part = over(value(one, "forka", field), value(one, "kafka", field))
        yield at_most("relaxed: half of Kafka's", f"one in flight, {field[:3]}", part, 0.5)
    durable = results.find("durable", "one in flight", "raw")
    pairs = over(value(durable, "forka", "p99_ms"), results.limit("pair", "p99_ms"))
    yield at_most("durable: 4 times the disk's write and fdatasync", "one in flight, p99", pairs, 4)
    relay = results.find("relaxed", "relay at 20 MB/s", "librdkafka")
    yield at_most("relaxed: below 5 ms", "producer to consumer at 20 MB/s, p99", value(relay, "forka", "p99_ms"), 5, "ms")


def memory(results):
    idle = results.find("durable", "idle", "", 0)
    yield at_most("idle: under 30 MB", "all processes", value(idle, "forka", "mb"), 30, "MB")
    parts = [(over(row.value("forka", "own_mb"), row.value("kafka", "own_mb")), row) for row in results.rows.values()]
    parts = [(part, row) for part, row in parts if part is not None]
    worst, row = max(parts, key=lambda found: found[0], default=(None, None))
    name = f"the worst row: {row.name()}, {row.client}, {row.durability}" if row else "under load"
    yield at_most("a tenth of Kafka's under every load", name, worst, 0.1)
    more = results.find("durable", "1,000 idle connections", "", 0)
    yield at_most("1,000 idle connections: under 20 MB", "more than before", value(more, "forka", "mb"), 20, "MB")


def starts(results):
    for row in results.rows.values():
        if row.load.startswith("start") and row.figures:
            aim = 50 if "empty" in row.load else 150
            yield at_most(f"under {aim} ms", f"{row.load}, {row.durability}", row.value("forka", "ms"), aim, "ms")


def many_partitions(results):
    rows = [row for row in results.rows.values() if row.load == "append in turn" and row.partitions > 1]
    for row in rows:
        one = results.find("relaxed", "append in turn", "raw", partitions=1)
        field = "broker_cpu_us_per_message"
        part = over(row.value("forka", field), value(one, "forka", field))
        yield at_most("1.3 times that of one", f"an append's CPU time, {row.partitions:,} partitions", part, 1.3)


def judge(results):
    """All targets, in the order in which they were set."""
    for group in (durable_produce, relaxed_produce, consume, latencies, memory, starts, many_partitions):
        yield from group(results)
