"""Raw requests about groups: what no client sends, or not so that one could see the answer."""

import os
import struct
import threading

from harness.broker import Broker
from harness.cases import case, equal, eventually, run_cases
from harness.wire import Connection, string

COMMIT, FETCH, JOIN, HEARTBEAT, LEAVE, SYNC, DESCRIBE, LIST, DELETE, OFFSET_DELETE = 8, 9, 11, 12, 13, 14, 15, 16, 42, 47
ILLEGAL_GENERATION, INCONSISTENT, INVALID_GROUP, UNKNOWN_MEMBER, BAD_SESSION, REBALANCE = 22, 23, 24, 25, 26, 27
METADATA_TOO_LARGE, NON_EMPTY, NOT_FOUND, MEMBER_ID_REQUIRED, FENCED, UNKNOWN_TOPIC, SUBSCRIBED = 12, 68, 69, 79, 82, 3, 86

BROKER = Broker(options=["-o", "group.min.session.timeout.ms=100", "-o", "num.partitions=3"]).start()


def blob(data):
    return struct.pack(">i", len(data)) + data


def maybe(text):
    return struct.pack(">h", -1) if text is None else string(text)


class Client:
    """A connection of its own for each request that may wait; the broker spreads them over its workers."""

    def __init__(self, timeout_s=15):
        self.wire = Connection(BROKER.port, timeout_s=timeout_s)

    def join(self, group, member="", protocols=("range",), session=6000, rebalance=6000, instance=None, version=5, metadata=b"m"):
        body = string(group) + struct.pack(">i", session)
        if version >= 1:
            body += struct.pack(">i", rebalance)
        body += string(member) + (maybe(instance) if version >= 5 else b"") + string("consumer")
        body += struct.pack(">i", len(protocols)) + b"".join(string(p) + blob(metadata) for p in protocols)
        answer = Reader(self.wire.ask(JOIN, version, body))
        if version >= 2:
            answer.i32()
        found = {"error": answer.i16(), "generation": answer.i32(), "protocol": answer.str(), "leader": answer.str()}
        found["member"] = answer.str()
        found["members"] = [(answer.str(), answer.str() if version >= 5 else None, answer.bytes()) for _ in range(answer.i32())]
        answer.end()
        return found

    def joined(self, group, **options):
        """Join for good: twice, where an id is given first."""
        first = self.join(group, **options)
        return self.join(group, member=first["member"], **options) if first["error"] == MEMBER_ID_REQUIRED else first

    def sync(self, group, generation, member, assignments=(), instance=None):
        body = string(group) + struct.pack(">i", generation) + string(member) + maybe(instance)
        body += struct.pack(">i", len(assignments)) + b"".join(string(m) + blob(a) for m, a in assignments)
        answer = Reader(self.wire.ask(SYNC, 3, body))
        answer.i32()
        found = answer.i16(), answer.bytes()
        answer.end()
        return found

    def heartbeat(self, group, generation, member, instance=None):
        body = string(group) + struct.pack(">i", generation) + string(member) + maybe(instance)
        return struct.unpack(">ih", self.wire.ask(HEARTBEAT, 3, body))[1]

    def leave(self, group, member):
        return struct.unpack(">ih", self.wire.ask(LEAVE, 2, string(group) + string(member)))[1]

    def commit(self, group, topic, offset, generation=-1, member="", metadata="", partition=0, retention=-1):
        body = string(group) + struct.pack(">i", generation) + string(member) + struct.pack(">q", retention)
        body += struct.pack(">i", 1) + string(topic) + struct.pack(">iiq", 1, partition, offset) + string(metadata)
        answer = Reader(self.wire.ask(COMMIT, 2, body))
        equal(answer.i32(), 1)
        answer.str()
        equal(answer.i32(), 1)
        equal(answer.i32(), partition)
        return answer.i16()

    def committed(self, group, topic, partition=0):
        body = string(group) + struct.pack(">i", 1) + string(topic) + struct.pack(">ii", 1, partition)
        answer = Reader(self.wire.ask(FETCH, 2, body))
        answer.i32(), answer.str(), answer.i32(), answer.i32()
        return answer.i64(), answer.str(), answer.i16()

    def describe(self, *groups):
        body = struct.pack(">i", len(groups)) + b"".join(map(string, groups))
        answer = Reader(self.wire.ask(DESCRIBE, 0, body))
        found = []
        for _ in range(answer.i32()):
            one = (answer.i16(), answer.str(), answer.str(), answer.str(), answer.str())
            members = [[answer.str(), answer.str(), answer.str(), answer.bytes(), answer.bytes()] for _ in range(answer.i32())]
            found.append((*one, members))
        answer.end()
        return found

    def delete(self, *groups):
        answer = Reader(self.wire.ask(DELETE, 0, struct.pack(">i", len(groups)) + b"".join(map(string, groups))))
        answer.i32()
        return [(answer.str(), answer.i16()) for _ in range(answer.i32())]

    def offset_delete(self, group, topic, partition=0):
        body = string(group) + struct.pack(">i", 1) + string(topic) + struct.pack(">ii", 1, partition)
        answer = Reader(self.wire.ask(OFFSET_DELETE, 0, body))
        error, _throttle, topics = answer.i16(), answer.i32(), answer.i32()
        if topics == 0:
            return error, None
        answer.str(), answer.i32(), answer.i32()
        return error, answer.i16()


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        value = struct.unpack_from(">" + form, self.data, self.at)[0]
        self.at += struct.calcsize(">" + form)
        return value

    def i16(self):
        return self.take("h")

    def i32(self):
        return self.take("i")

    def i64(self):
        return self.take("q")

    def run(self, n):
        self.at += max(n, 0)
        return None if n < 0 else self.data[self.at - n : self.at]

    def str(self):
        found = self.run(self.i16())
        return None if found is None else found.decode()

    def bytes(self):
        return self.run(self.i32())

    def end(self):
        equal(self.at, len(self.data), "bytes of the answer read")


def create(topic):
    with BROKER.connect() as wire:  # Metadata v1 creates
        wire.ask(3, 1, struct.pack(">i", 1) + string(topic))


def in_background(function, *arguments, **options):
    found = []
    thread = threading.Thread(target=lambda: found.append(function(*arguments, **options)), daemon=True)
    thread.start()

    def result():
        thread.join(20)
        assert found, "no answer"
        return found[0]

    return result


@case("v4+ gives an id first, v0-3 joins at once")
def ids():
    c = Client()
    first = c.join("ids")
    equal((first["error"], first["generation"], first["members"]), (MEMBER_ID_REQUIRED, -1, []))
    equal(c.join("ids", member=first["member"])["generation"], 1)
    for version in (0, 1, 2, 3):
        found = c.join(f"ids-v{version}", version=version)
        equal((found["error"], found["generation"], found["leader"]), (0, 1, found["member"]), f"v{version}")
        equal([(m, data) for m, _, data in found["members"]], [(found["member"], b"m")])


@case("a whole generation over two connections: followers get no list, each its own assignment")
def generation():
    a, b = Client(), Client()
    one = a.joined("gen")
    two = in_background(b.joined, "gen")
    while a.heartbeat("gen", 1, one["member"]) != REBALANCE:
        pass
    one = a.join("gen", member=one["member"])
    two = two()
    equal((one["generation"], two["generation"], two["members"]), (2, 2, []))
    equal(len(one["members"]), 2)
    waiting = in_background(b.sync, "gen", 2, two["member"])
    equal(a.heartbeat("gen", 2, one["member"]), 0, "while completing")
    equal(a.sync("gen", 2, one["member"], [(one["member"], b"A"), (two["member"], b"B")]), (0, b"A"))
    equal(waiting(), (0, b"B"))
    [(error, _, state, kind, protocol, members)] = Client().describe("gen")
    equal((error, state, kind, protocol), (0, "Stable", "consumer", "range"))
    equal(sorted((m[1], m[2], m[3], m[4]) for m in members), [("harness", "/127.0.0.1", b"m", b"A"), ("harness", "/127.0.0.1", b"m", b"B")])
    equal(Client().delete("gen"), [("gen", NON_EMPTY)])
    equal(a.heartbeat("gen", 1, one["member"]), ILLEGAL_GENERATION)
    equal(a.commit("gen", "t", 1, generation=1, member=one["member"]), ILLEGAL_GENERATION)
    equal(a.commit("gen", "t", 1), UNKNOWN_MEMBER, "a simple consumer in a group with members")
    equal((a.leave("gen", one["member"]), b.leave("gen", two["member"])), (0, 0))
    equal(Client().delete("gen"), [("gen", 0)])
    equal(Client().delete("gen"), [("gen", NOT_FOUND)])


@case("who is unknown is told so; no group comes of it")
def unknown():
    c = Client()
    equal(c.join("unknown", member="who")["error"], UNKNOWN_MEMBER)
    equal(c.heartbeat("unknown", 1, "who"), UNKNOWN_MEMBER)
    equal(c.sync("unknown", 1, "who"), (UNKNOWN_MEMBER, b""))
    equal(c.leave("unknown", "who"), UNKNOWN_MEMBER)
    equal(c.commit("unknown", "t", 1, generation=3, member="who"), ILLEGAL_GENERATION)
    equal(c.describe("unknown", "unknown-2"), [(0, "unknown", "Dead", "", "", []), (0, "unknown-2", "Dead", "", "", [])])
    equal(c.delete("unknown"), [("unknown", NOT_FOUND)])
    equal(c.offset_delete("unknown", "t"), (NOT_FOUND, None))


@case("group ids of no and of 32,767 bytes; session time-outs; protocols")
def limits():
    c = Client()
    equal(c.join("")["error"], INVALID_GROUP)
    equal(c.heartbeat("", 1, "m"), INVALID_GROUP)
    equal(c.join("limits", session=99)["error"], BAD_SESSION)
    equal(c.join("limits", session=1800001)["error"], BAD_SESSION)
    equal(c.join("limits", protocols=())["error"], INCONSISTENT)
    create("t")
    for group in ("g" * 32767, "g" * 32766 + "h"):
        m = c.joined(group)
        equal((m["error"], m["generation"]), (0, 1))
        equal(c.sync(group, 1, m["member"], [(m["member"], b"x")]), (0, b"x"))
        equal(c.commit(group, "t", 5 if group[-1] == "g" else 6, generation=1, member=m["member"]), 0)
        equal(c.leave(group, m["member"]), 0)
    equal((c.committed("g" * 32767, "t")[0], c.committed("g" * 32766 + "h", "t")[0]), (5, 6))
    equal(c.delete("g" * 32767), [("g" * 32767, 0)])
    equal((c.committed("g" * 32767, "t")[0], c.committed("g" * 32766 + "h", "t")[0]), (-1, 6))


@case("commits of a simple consumer: metadata, limits, unknown topics, retention, deletion")
def commits():
    c = Client()
    create("t")
    equal(c.commit("simple", "t", 7, metadata="m" * 4096), 0)
    equal(c.committed("simple", "t"), (7, "m" * 4096, 0))
    equal(c.commit("simple", "t", 8, metadata="m" * 4097), METADATA_TOO_LARGE)
    equal(c.commit("simple", "t", 9, metadata="short"), 0)
    equal(c.committed("simple", "t"), (9, "short", 0))
    equal(c.committed("simple", "t", 1), (-1, "", 0))
    equal(c.commit("simple", "nowhere", 1), UNKNOWN_TOPIC)
    equal(c.commit("simple", "t", 1, partition=3), UNKNOWN_TOPIC)
    equal(c.committed("simple", "nowhere"), (-1, "", 0))
    equal(c.commit("", "t", 3), 0)
    equal(c.committed("", "t"), (3, "", 0))
    equal(c.offset_delete("simple", "t"), (0, 0))
    equal(c.committed("simple", "t"), (-1, "", 0))


@case("a member that joins and vanishes does not hold up the others")
def vanishes():
    a, b = Client(), Client()
    one = a.joined("vanish", session=1000, rebalance=60000)
    equal(a.sync("vanish", 1, one["member"], [(one["member"], b"x")])[0], 0)
    a.wire.close()  # without a word
    two = b.joined("vanish", session=1000, rebalance=60000)
    equal((two["error"], len(two["members"])), (0, 1))


@case("one that waits to be let in, and whose client goes away, is no member")
def goes_while_waiting():
    a, b = Client(), Client()
    one = a.joined("gone", version=3)
    waiting = in_background(lambda: _ignore(b.join, "gone", version=3, session=30000))
    while a.heartbeat("gone", 1, one["member"]) != REBALANCE:
        pass
    import socket

    b.wire.socket.shutdown(socket.SHUT_RDWR)
    waiting()
    eventually(lambda: len(Client().describe("gone")[0][5]) == 1, what="one member is left")
    one = a.join("gone", member=one["member"], version=3)
    equal((one["error"], len(one["members"])), (0, 1))


def _ignore(function, *arguments, **options):
    try:
        return function(*arguments, **options)
    except (OSError, EOFError) as error:
        return error


@case("a leader that never syncs is put out, and the others go on", timeout_s=40)
def lazy_leader():
    a, b = Client(), Client()
    one = a.joined("lazy", rebalance=1500, session=30000)
    equal(one["leader"], one["member"])
    equal(b.sync("lazy", 1, "who")[0], UNKNOWN_MEMBER)
    two = b.joined("lazy", rebalance=1500, session=30000)
    equal((two["error"], two["leader"], len(two["members"])), (0, two["member"], 1))


@case("a fenced static member")
def fenced():
    a, b = Client(), Client()
    one = a.joined("fenced", instance="i")
    equal(a.sync("fenced", one["generation"], one["member"], [(one["member"], b"x")], "i"), (0, b"x"))
    two = b.joined("fenced", instance="i")
    equal((two["error"], two["generation"], two["member"] != one["member"]), (0, one["generation"], True))
    equal(b.sync("fenced", two["generation"], two["member"], (), "i"), (0, b"x"))
    equal(a.heartbeat("fenced", one["generation"], one["member"], "i"), FENCED)
    equal(b.heartbeat("fenced", two["generation"], two["member"], "i"), 0)


@case("two hundred members over two hundred connections", timeout_s=60)
def crowd():
    clients = [Client(timeout_s=40) for _ in range(200)]
    first = clients[0].joined("crowd", rebalance=30000)
    rest = [in_background(c.joined, "crowd", rebalance=30000) for c in clients[1:]]
    member, generation = first["member"], 1
    while True:  # whoever is late begins another generation
        while clients[0].heartbeat("crowd", generation, member) != REBALANCE:
            pass
        [(_, _, _, _, _, members)] = Client().describe("crowd")
        if len(members) == 200:
            break
    found = [clients[0].join("crowd", member=member, rebalance=30000)] + [r() for r in rest]
    equal({f["error"] for f in found}, {0})
    equal(len({f["generation"] for f in found}), 1, "one generation")
    equal(sorted(len(f["members"]) for f in found)[-2:], [0, 200])
    generation, leader = found[0]["generation"], next(i for i, f in enumerate(found) if f["members"])
    waiting = [in_background(clients[i].sync, "crowd", generation, f["member"]) for i, f in enumerate(found) if i != leader]
    own = clients[leader].sync("crowd", generation, found[leader]["member"], [(f["member"], f["member"].encode()) for f in found])
    got = [own] + [w() for w in waiting]
    equal(sorted(data.decode() for _, data in got), sorted(f["member"] for f in found))


def end():
    wrong = BROKER.stop()
    BROKER.remove()
    assert not wrong, wrong


case("the broker ends well")(end)

if __name__ == "__main__":
    run_cases()
