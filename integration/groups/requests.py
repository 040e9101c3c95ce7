"""Raw requests about groups: what no client sends, or not so that one could see the answer."""

import socket
import struct

import raw
from harness.broker import Broker
from harness.cases import case, equal, eventually, run_cases
from harness.wire import string
from raw import (
    BAD_SESSION, FENCED, ILLEGAL_GENERATION, INCONSISTENT, INVALID_GROUP, MEMBER_ID_REQUIRED, METADATA_TOO_LARGE, NON_EMPTY,
    NOT_FOUND, REBALANCE, UNKNOWN_MEMBER, UNKNOWN_TOPIC, in_background,
)  # fmt: skip

BROKER = Broker(options=["-o", "group.min.session.timeout.ms=100", "-o", "num.partitions=3"]).start()


def Client(**options):  # pylint: disable=invalid-name
    return raw.Client(BROKER, **options)


def create(topic):
    with BROKER.connect() as wire:  # Metadata v1 creates
        wire.ask(3, 1, struct.pack(">i", 1) + string(topic))


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
