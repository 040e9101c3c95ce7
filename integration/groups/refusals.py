"""What members should not do: Kafka's error each time, and the group goes on afterwards with those who behave."""

import socket
import struct
import time

import codec
import raw
from codec import COMMIT, DELETE, DESCRIBE, FETCH, FIND, HEARTBEAT, JOIN, LEAVE, SYNC
from harness import patience
from harness.broker import Broker
from harness.cases import case, equal, eventually, run_cases
from harness.wire import string
from raw import (
    BAD_SESSION, FENCED, GROUP_FULL, ILLEGAL_GENERATION, INCONSISTENT, INVALID_GROUP, MEMBER_ID_REQUIRED, METADATA_TOO_LARGE,
    NON_EMPTY, NOT_FOUND, REBALANCE, SUBSCRIBED, UNKNOWN_MEMBER, UNKNOWN_TOPIC, assemble, in_background, subscription,
)  # fmt: skip

MAX_SIZE = 5
OPTIONS = ["group.min.session.timeout.ms=100", f"group.max.size={MAX_SIZE}", "num.partitions=3", "offset.metadata.max.bytes=100"]
BROKER = Broker(options=[word for option in OPTIONS for word in ("-o", option)]).start()
SHORT = {"session": int(1000 * patience.factor()), "rebalance": int(1000 * patience.factor())}


def Client(**options):  # pylint: disable=invalid-name
    return raw.Client(BROKER, **options)


def create(topic):
    with BROKER.connect() as wire:  # Metadata v1 creates
        wire.ask(3, 1, struct.pack(">i", 1) + string(topic))


def one_member(group, **options):
    """(client, member) of a stable group of one."""
    c = Client()
    m = c.joined(group, **{**SHORT, **options})
    equal((m["error"], m["leader"]), (0, m["member"]))
    equal(c.sync(group, m["generation"], m["member"], [(m["member"], b"x")], options.get("instance"))[0], 0)
    return c, m


def two_members(group, **options):
    """(client, member), the leader, and (client, member), in CompletingRebalance of generation 2."""
    clients = [Client(), Client()]
    return tuple(zip(clients, assemble(clients, group, **{**SHORT, **options})))


def goes_on(group, **options):
    """A newcomer gets its share, alone or with those who are there, commits, and leaves; nobody is left after a while."""
    c, deadline, member = Client(), time.monotonic() + 10 * patience.factor(), ""
    while True:
        assert time.monotonic() < deadline, f"{group} is stuck: {c.describe(group)}"
        m = c.joined(group, member=member, **{**SHORT, **options})
        member = m["member"]
        if m["error"]:
            equal(m["error"] in (UNKNOWN_MEMBER, GROUP_FULL, REBALANCE), True, f"error {m['error']}")
            member = ""
            time.sleep(0.01)
            continue
        error, _ = c.sync(group, m["generation"], member, [(i, b"mine") for i, _, _ in m["members"]])
        if error == 0 and c.heartbeat(group, m["generation"], member) == 0:
            break
    create("goes-on")
    equal(c.commit(group, "goes-on", 5, m["generation"], member), 0)
    equal(c.leave(group, member), 0)
    eventually(lambda: c.state(group) == "Empty", 10, f"{group} is empty")
    equal(c.committed(group, "goes-on")[0], 5)
    equal(c.delete(group), [(group, 0)])


# --- who they are -----------------------------------------------------------------------------------------------------


@case("unknown members, stale and future generations")
def strangers():
    create("t")
    c, m = one_member("who")
    generation, member = m["generation"], m["member"]
    for who, when, error in (
        ("", generation, UNKNOWN_MEMBER),
        ("stranger", generation, UNKNOWN_MEMBER),
        (member, generation - 1, ILLEGAL_GENERATION),
        (member, generation + 1, ILLEGAL_GENERATION),
        (member, -1, ILLEGAL_GENERATION),
        (member, -(2**31), ILLEGAL_GENERATION),
    ):
        said = f"{who or 'nobody'} in {when}"
        equal(c.heartbeat("who", when, who), error, said)
        equal(c.sync("who", when, who, [(member, b"stolen")]), (error, b""), said)
        for version in (2, 9):
            equal(c.commit("who", "t", 9, when, who, version=version), error, said)
    equal(c.join("who", "stranger")["error"], UNKNOWN_MEMBER)
    equal(c.leave("who", "stranger"), UNKNOWN_MEMBER)
    equal(c.leave("who", ""), UNKNOWN_MEMBER)
    equal(c.commit("who", "t", 9), UNKNOWN_MEMBER, "a simple consumer in a live group")
    equal(c.committed("who", "t")[0], -1)
    equal(c.sync("who", generation, member), (0, b"x"), "nothing has changed")
    goes_on("who")


@case("a fenced instance: every request")
def fenced():
    a, one = one_member("fenced", instance="i")
    b = Client()
    two = b.join("fenced", instance="i", **SHORT)
    equal((two["error"], two["generation"]), (0, one["generation"]))
    at = one["generation"]
    for member in (one["member"], "stranger"):
        equal(a.heartbeat("fenced", at, member, "i"), FENCED)
        equal(a.sync("fenced", at, member, [], "i")[0], FENCED)
        equal(a.join("fenced", member, instance="i")["error"], FENCED)
        equal(a.commit("fenced", "t", 1, at, member, version=7, instance_id="i"), FENCED)
        equal(a.leave_all("fenced", (member, "i")), (0, [FENCED]))
        equal(a.heartbeat("fenced", at, member, "j"), UNKNOWN_MEMBER, "another instance")
        equal(a.commit("fenced", "t", 1, at, member, version=7, instance_id="j"), UNKNOWN_MEMBER)
    equal(b.heartbeat("fenced", at, two["member"], "i"), 0)
    goes_on("fenced")


@case("a fenced instance that waits is told so as its successor comes")
def fenced_waiting():
    (a, one), (b, two) = two_members("fenced-2", session=5000, rebalance=5000)
    c = Client()
    static = in_background(c.join, "fenced-2", instance="i", session=5000, rebalance=5000)
    while a.heartbeat("fenced-2", 2, one["member"]) != REBALANCE:
        pass
    d = Client()
    eventually(lambda: len(b.describe("fenced-2")[0][5]) == 3, what="it waits")
    again = in_background(d.join, "fenced-2", instance="i", session=5000, rebalance=5000)
    equal(static()["error"], FENCED)
    one_again = in_background(a.join, "fenced-2", one["member"], session=5000, rebalance=5000)
    two_again = b.join("fenced-2", two["member"], session=5000, rebalance=5000)
    equal({one_again()["error"], two_again["error"], again()["error"]}, {0})
    goes_all(("fenced-2", a, one), ("fenced-2", b, two))
    equal(d.leave_all("fenced-2", ("", "i")), (0, [0]))
    goes_on("fenced-2")


def goes_all(*members):
    for group, c, m in members:
        equal(c.leave(group, m["member"]), 0)


# --- what they bring --------------------------------------------------------------------------------------------------


@case("group ids of no byte: refused where members act, taken where offsets are kept, as in Kafka")
def no_id():
    create("t")
    c = Client()
    for version in range(10):
        equal(c.join("", version=version)["error"], INVALID_GROUP)
        equal(c.sync("", 1, "m", version=min(version, 5))[0], INVALID_GROUP)
        equal(c.heartbeat("", 1, "m", version=min(version, 4)), INVALID_GROUP)
        if version < 3:
            equal(c.leave("", "m", version=version), INVALID_GROUP)
        elif version < 6:
            equal(c.leave_all("", ("m", None), version=version), (INVALID_GROUP, []))
    equal(c.offset_delete("", "t"), (INVALID_GROUP, None))
    equal(c.describe("")[0][:3], (0, "", "Dead"))
    equal(c.delete(""), [("", NOT_FOUND)])
    equal(c.commit("", "t", 3), 0)
    equal(c.committed("", "t")[0], 3)
    equal(c.describe("")[0][:3], (0, "", "Empty"))
    equal(c.delete(""), [("", 0)])


@case("group ids of 32,767 bytes in every API; one byte more cuts the connection, and no other")
def long_id():
    longest, bystander = "\u00e4" * 16383 + "g", Client()
    equal(len(longest.encode()), 32767)
    create("t")
    c = Client()
    m = c.joined(longest, version=9, **SHORT)
    equal(m["error"], 0)
    equal(c.sync(longest, 1, m["member"], [(m["member"], b"x")], version=5), (0, b"x"))
    equal(c.heartbeat(longest, 1, m["member"], version=4), 0)
    equal(c.commit(longest, "t", 1, 1, m["member"], version=9), 0)
    found = c.ask(FETCH, 9, groups=[{"group_id": longest, "topics": [{"name": "t", "partitions": [0]}]}])
    equal(found["groups"][0]["topics"][0]["partitions"][0]["offset"], 1)
    equal(c.describe(longest, version=6)[0][1:3], (longest, "Stable"))
    assert longest in c.list(), "listed"
    equal(c.ask(FIND, 6, coordinator_keys=[longest])["coordinators"][0]["error"], 0)
    equal(c.delete(longest, version=2), [(longest, NON_EMPTY)])
    equal(c.leave_all(longest, (m["member"], None)), (0, [0]))
    equal(c.offset_delete(longest, "t"), (0, 0))
    goes_on(longest)
    one_more = longest + "g"
    for key, version, values in (
        (JOIN, 9, {"group_id": one_more}), (SYNC, 5, {"group_id": one_more}), (HEARTBEAT, 4, {"group_id": one_more}),
        (LEAVE, 5, {"group_id": one_more}), (COMMIT, 9, {"group_id": one_more}), (DELETE, 2, {"groups": [one_more]}),
        (FETCH, 9, {"groups": [{"group_id": one_more}]}), (DESCRIBE, 6, {"groups": [one_more]}),
        (FIND, 6, {"coordinator_keys": [one_more]}),
    ):  # fmt: skip
        c = Client()
        c.send(key, version, **values)
        assert c.wire.is_closed(5), f"{codec.NAMES[key]} with a string that Kafka cannot read"
    assert one_more not in bystander.list(), "a group of that id"


@case("time-outs of sessions beyond the limits; protocols: none, too many, of another type, none in common")
def protocols():
    c, m = one_member("proto", protocols=("range", "sticky"), session=20000)
    d = Client()
    for session in (-1, 0, 99, 1800001, 2**31 - 1):
        equal(d.join("proto", session=session)["error"], BAD_SESSION, f"{session} ms")
        equal(d.join("proto-absent", session=session)["error"], BAD_SESSION, f"{session} ms")
    equal(d.join("proto", protocols=())["error"], INCONSISTENT)
    equal(d.join("proto-absent", protocols=())["error"], INCONSISTENT)
    equal(d.join("proto-absent", kind="")["error"], INCONSISTENT)
    equal(d.join("proto", kind="")["error"], INCONSISTENT)
    equal(d.join("proto", kind="connect")["error"], INCONSISTENT, "another type")
    equal(d.join("proto", protocols=("cooperative-sticky", "roundrobin"))["error"], INCONSISTENT)
    equal(d.join("proto", m["member"], protocols=("roundrobin",), kind="connect")["error"], INCONSISTENT, "from its member")
    assert "proto-absent" not in d.list(), "a group that nobody could join"
    equal(c.heartbeat("proto", 1, m["member"]), 0, "the member noticed nothing")
    two = in_background(d.joined, "proto", protocols=("sticky", "roundrobin"), **SHORT)
    while c.heartbeat("proto", 1, m["member"]) != REBALANCE:
        pass
    m = c.join("proto", m["member"], protocols=("range", "sticky"), session=20000)
    equal((m["protocol"], two()["protocol"]), ("sticky", "sticky"), "what both know")
    equal(c.leave("proto", m["member"]), 0)
    goes_on("proto", protocols=("roundrobin",))


@case("metadata of 100 characters is taken, of 101 refused, alone and among others")
def metadata():
    create("t")
    c = Client()
    equal(c.commit("meta", "t", 1, metadata="\u00e4" * 100), 0)
    equal(c.commit("meta", "t", 2, metadata="\u00e4" * 100 + "b"), METADATA_TOO_LARGE)
    equal(c.committed("meta", "t"), (1, "\u00e4" * 100, 0))
    several = [{"index": i, "offset": 7, "metadata": "m" * n} for i, n in enumerate((100, 101, 0))]
    found = c.ask(COMMIT, 8, group_id="meta", topics=[{"name": "t", "partitions": several}])
    equal([p["error"] for p in found["topics"][0]["partitions"]], [0, METADATA_TOO_LARGE, 0])
    equal([c.committed("meta", "t", i)[0] for i in range(3)], [7, -1, 7])
    goes_on("meta")


# --- how many they are ------------------------------------------------------------------------------------------------


@case(f"group.max.size={MAX_SIZE}: one more is refused, and let in when another has left")
def full():
    clients, late = [Client() for _ in range(MAX_SIZE)], Client()
    members = assemble(clients, "full", session=10000, rebalance=10000)
    for state in ("CompletingRebalance", "Stable"):
        equal(late.state("full"), state)
        for version, instance in ((9, None), (3, None), (9, "i")):
            refused = late.join("full", version=version, instance=instance)
            equal((refused["error"], refused["generation"]), (GROUP_FULL, -1))
        syncs = [in_background(c.sync, "full", 2, m["member"]) for c, m in zip(clients, members)]
        equal({s()[0] for s in syncs}, {0})
    equal(clients[-1].leave("full", members[-1]["member"]), 0)
    clients, members = clients[:-1], members[:-1]
    again = [in_background(c.join, "full", m["member"], session=10000, rebalance=10000) for c, m in zip(clients, members)]
    equal({a()["error"] for a in again}, {0})
    let_in = in_background(late.joined, "full", **SHORT)
    for c, m in zip(clients, members):
        eventually(lambda c=c, m=m: c.heartbeat("full", 3, m["member"]) == REBALANCE, what="a rebalance")
    again = [in_background(c.join, "full", m["member"], **SHORT) for c, m in zip(clients, members)]
    equal({let_in()["error"], *(a()["error"] for a in again)}, {0})
    goes_all(*(("full", c, m) for c, m in zip(clients, members)))
    goes_on("full")


# --- those who vanish -------------------------------------------------------------------------------------------------


@case("vanished with its connection: before the id is used, while joining, before the sync, after it")
def vanishes():
    a = Client()
    equal(a.join("van-1", session=500)["error"], MEMBER_ID_REQUIRED)
    a.close()
    goes_on("van-1")

    (a, one), (b, _) = two_members("van-2")
    a.send(JOIN, 5, group_id="van-2", member_id=one["member"], session_timeout_ms=SHORT["session"],
           rebalance_timeout_ms=SHORT["rebalance"], protocol_type="consumer", protocols=[{"name": "range", "metadata": b"other"}])  # fmt: skip
    eventually(lambda: b.state("van-2") == "PreparingRebalance", what="a rebalance")
    a.close()
    b.close()
    goes_on("van-2")

    (a, one), (b, two) = two_members("van-3")
    b.send(SYNC, 3, group_id="van-3", generation=2, member_id=two["member"])
    b.close()
    a.wire.socket.shutdown(socket.SHUT_RDWR)
    goes_on("van-3")

    a, one = one_member("van-4")
    a.close()
    goes_on("van-4")


@case("silent, while its connection stays: never uses its id, never syncs, never sends a heartbeat")
def silent():
    held = [Client() for _ in range(3)]
    equal(held[0].join("silent-1", session=500)["error"], MEMBER_ID_REQUIRED)
    goes_on("silent-1")
    held[1].joined("silent-2", **SHORT)
    goes_on("silent-2")
    held.append(one_member("silent-3")[0])
    eventually(lambda: held[0].state("silent-3") == "Empty", 5, "it is missed, although nobody waits for it")
    goes_on("silent-3")
    (a, one), (b, two) = two_members("silent-4", session=20000)
    equal(a.sync("silent-4", 2, one["member"], [(one["member"], b"x"), (two["member"], b"y")]), (0, b"x"))
    eventually(lambda: a.heartbeat("silent-4", 2, one["member"]) == REBALANCE, 5, "who never syncs is put out")
    one = a.join("silent-4", one["member"], **SHORT)
    equal((one["error"], len(one["members"])), (0, 1))
    equal(b.sync("silent-4", 2, two["member"])[0], UNKNOWN_MEMBER)
    goes_on("silent-4")


@case("a leader that never syncs is put out after the rebalance time-out; the follower that waits is told, and leads")
def lazy_leader():
    (a, one), (b, two) = two_members("lazy", session=20000)
    begin = time.monotonic()
    equal(b.sync("lazy", 2, two["member"]), (REBALANCE, b""))
    took = time.monotonic() - begin
    assert took > 0.5, f"told after {took:.1f} s"
    two = b.join("lazy", two["member"], **SHORT)
    equal((two["error"], two["leader"], len(two["members"])), (0, two["member"], 1))
    equal(a.sync("lazy", 2, one["member"], [(one["member"], b"late")])[0], UNKNOWN_MEMBER)
    equal(b.sync("lazy", two["generation"], two["member"], [(two["member"], b"x")]), (0, b"x"))
    goes_on("lazy")


# --- what they say ----------------------------------------------------------------------------------------------------


@case("a leader that assigns to strangers, to somebody twice, to nobody")
def odd_assignments():
    (a, one), (b, two) = two_members("odd")
    waiting = in_background(b.sync, "odd", 2, two["member"])
    odd = [("stranger", b"s"), (one["member"], b"first"), ("", b"nobody"), (one["member"], b"second")]
    equal(a.sync("odd", 2, one["member"], odd), (0, b"second"))
    equal(waiting(), (0, b""), "the forgotten one")
    equal({m[0] for m in a.describe("odd")[0][5]}, {one["member"], two["member"]})
    goes_on("odd")


def one_is_sent_back(first, second):
    """Two requests of one member wait; whichever came first is told REBALANCE. The other one."""
    eventually(lambda: first.done() or second.done(), what="one is answered")
    sent_back, waits = (first, second) if first.done() else (second, first)
    found = sent_back()
    equal(found["error"] if isinstance(found, dict) else found[0], REBALANCE)
    return waits


@case("SyncGroup twice on two connections: one is sent back, the other answered; afterwards it is told again")
def sync_twice():
    (a, one), (b, two) = two_members("sync-2", session=5000, rebalance=5000)
    c = Client()
    first = in_background(b.sync, "sync-2", 2, two["member"])
    second = in_background(c.sync, "sync-2", 2, two["member"], [(two["member"], b"a follower's")])
    waits = one_is_sent_back(first, second)
    equal(a.sync("sync-2", 2, one["member"], [(one["member"], b"A"), (two["member"], b"B")]), (0, b"A"))
    equal(waits(), (0, b"B"))
    equal(a.sync("sync-2", 2, one["member"], [(one["member"], b"other")]), (0, b"A"), "assignments are not taken twice")
    equal(c.sync("sync-2", 2, two["member"], [(two["member"], b"other")]), (0, b"B"))
    goes_all(("sync-2", a, one), ("sync-2", c, two))
    goes_on("sync-2")


@case("JoinGroup twice by one member on two connections: one is sent back, the other joins")
def join_twice():
    (a, one), (b, two) = two_members("join-2", session=5000, rebalance=5000)
    c = Client()
    more = {"session": 5000, "rebalance": 5000, "metadata": b"other"}
    first = in_background(b.join, "join-2", two["member"], **more)
    second = in_background(c.join, "join-2", two["member"], **more)
    waits = one_is_sent_back(first, second)
    one = a.join("join-2", one["member"], session=5000, rebalance=5000)
    two = waits()
    equal((one["generation"], two["generation"], len(one["members"])), (3, 3, 2))
    goes_all(("join-2", a, one), ("join-2", c, two))
    goes_on("join-2")


@case("commits while the group rebalances: taken while members join, refused until they know what is theirs")
def commit_while_rebalancing():
    create("t")
    (a, one), (b, two) = two_members("busy", session=5000, rebalance=5000)
    for c, m in ((a, one), (b, two)):
        for version in (2, 9):
            equal(c.commit("busy", "t", 1, 2, m["member"], version=version), REBALANCE, "CompletingRebalance")
    waiting = in_background(b.sync, "busy", 2, two["member"])
    equal(a.sync("busy", 2, one["member"]), (0, b""))
    equal(waiting(), (0, b""))
    equal(a.commit("busy", "t", 2, 2, one["member"]), 0, "Stable")
    three = in_background(Client().joined, "busy", session=5000, rebalance=5000)
    eventually(lambda: a.heartbeat("busy", 2, one["member"]) == REBALANCE, what="a rebalance")
    equal(a.commit("busy", "t", 3, 2, one["member"]), 0, "PreparingRebalance: where it ends")
    equal(a.commit("busy", "t", 4, 1, one["member"]), ILLEGAL_GENERATION)
    equal(b.leave("busy", two["member"]), 0)
    equal(b.commit("busy", "t", 5, 2, two["member"]), UNKNOWN_MEMBER, "who has left")
    equal(a.commit("busy", "t", 6), UNKNOWN_MEMBER, "a simple consumer")
    again = a.join("busy", one["member"], session=5000, rebalance=5000)
    equal((again["generation"], three()["generation"]), (3, 3))
    equal(a.commit("busy", "t", 7, 2, one["member"]), ILLEGAL_GENERATION)
    equal(a.committed("busy", "t")[0], 3)
    goes_all(("busy", a, one), ("busy", a, three()))
    goes_on("busy")


@case("leaving twice, while joining, while the others wait for it: nobody waits longer")
def leaving():
    (a, one), (b, two) = two_members("leave", session=20000, rebalance=20000)
    waiting = in_background(b.sync, "leave", 2, two["member"])
    equal(a.leave("leave", one["member"]), 0)
    equal(waiting(), (REBALANCE, b""), "the leader has left")
    equal(a.leave("leave", one["member"]), UNKNOWN_MEMBER)
    equal(b.join("leave", two["member"], **SHORT)["generation"], 3)
    c = Client()
    three = in_background(c.joined, "leave", session=20000, rebalance=20000)
    eventually(lambda: b.heartbeat("leave", 3, two["member"]) == REBALANCE, what="a rebalance")
    equal(b.leave("leave", two["member"]), 0)
    equal(three()["generation"], 4)
    four = in_background(Client().joined, "leave", session=20000, rebalance=20000)
    eventually(lambda: c.heartbeat("leave", 4, three()["member"]) == REBALANCE, what="a rebalance")
    five = in_background(c.join, "leave", three()["member"], metadata=b"again", session=20000)
    equal((four()["error"], five()["error"]), (0, 0))
    goes_all(("leave", a, four()), ("leave", a, five()))
    goes_on("leave")


# --- deleting ---------------------------------------------------------------------------------------------------------


@case("DeleteGroups: live, empty, absent, twice in one request")
def delete():
    create("t")
    c = Client()
    a, one = one_member("del-live", session=10000)
    equal(c.commit("del-empty", "t", 1), 0)
    equal(c.join("del-pending", session=10000)["error"], MEMBER_ID_REQUIRED)
    equal(c.delete("del-live", "del-empty", "del-absent"), [("del-live", NON_EMPTY), ("del-empty", 0), ("del-absent", NOT_FOUND)])
    equal(c.delete("del-empty"), [("del-empty", NOT_FOUND)])
    equal(a.heartbeat("del-live", 1, one["member"]), 0)
    equal(a.leave("del-live", one["member"]), 0)
    found = c.delete("del-live", "del-live")
    equal(found[0], ("del-live", 0))
    equal([error for _, error in found[1:]] in ([], [0], [NOT_FOUND]), True, found)
    for group in ("del-live", "del-empty", "del-absent", "del-pending"):
        goes_on(group)


@case("OffsetDelete: of a topic that a member is subscribed to, of another, of an absent group, of another protocol type")
def offset_delete():
    for topic in ("mine", "other"):
        create(topic)
    c = Client()
    equal((c.commit("od", "mine", 1), c.commit("od", "other", 2)), (0, 0))
    a, one = one_member("od", metadata=subscription("x", "mine"), session=10000)
    equal(c.offset_delete("od", "mine"), (0, SUBSCRIBED))
    equal(c.offset_delete("od", "other"), (0, 0))
    equal(c.offset_delete("od", "other"), (0, 0), "what is not there")
    equal(c.offset_delete("od", "other", 3), (0, UNKNOWN_TOPIC))
    equal(c.offset_delete("od", "nowhere"), (0, UNKNOWN_TOPIC))
    equal((c.committed("od", "mine")[0], c.committed("od", "other")[0]), (1, -1))
    equal(a.leave("od", one["member"]), 0)
    equal(c.offset_delete("od", "mine"), (0, 0))
    equal(c.offset_delete("od-absent", "mine"), (NOT_FOUND, None))
    d, two = one_member("od-connect", kind="connect", session=10000)
    equal(c.offset_delete("od-connect", "mine"), (NON_EMPTY, None))
    equal(d.leave("od-connect", two["member"]), 0)
    goes_on("od")


case("franz-go's codec reads all of this, and writes the same bytes", timeout_s=120)(raw.judge_exchanges)


def end():
    wrong = BROKER.stop()
    BROKER.remove()
    assert not wrong, wrong


case("the broker ends well")(end)

if __name__ == "__main__":
    run_cases()
