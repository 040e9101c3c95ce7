"""Every version of every API about groups, newest included, which few clients send; and what only some versions can say."""

import struct

import codec
import raw
from codec import COMMIT, DESCRIBE, FETCH, FIND, JOIN, LEAVE, LIST, SYNC
from harness.broker import Broker
from harness.cases import case, equal, run_cases
from harness.wire import string
from raw import (
    FENCED, ILLEGAL_GENERATION, INCONSISTENT, INVALID_REQUEST, MEMBER_ID_REQUIRED, METADATA_TOO_LARGE, NON_EMPTY, NOT_FOUND,
    REBALANCE, TRANSACTIONS_DENIED, UNKNOWN_MEMBER, UNKNOWN_TOPIC, UNKNOWN_TOPIC_ID, in_background, subscription,
)  # fmt: skip

BROKER = Broker(options=["-o", "group.min.session.timeout.ms=100", "-o", "num.partitions=3"]).start()
SERVED = raw.served(BROKER)
NEWEST = {key: SERVED[key][1] for key in codec.NAMES}
NOT_ABOUT_GROUPS = {0, 1, 2, 3, 18, 19, 20, 22, 23, 32, 37, 60, 75}
NOBODY, NO_ID = b"\x11" * 16, b"\0" * 16
NO_OPERATIONS = -(2**31)
OPERATIONS = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11  # read, delete, describe, describe and alter configs


def Client(**options):  # pylint: disable=invalid-name
    return raw.Client(BROKER, **options)


def create(topic):
    """The topic's id."""
    with BROKER.connect() as wire:
        wire.ask(3, 1, struct.pack(">i", 1) + string(topic))  # Metadata v1 creates
        answer = wire.ask(3, 12, b"\0\2" + NO_ID + struct.pack("B", len(topic) + 1) + topic.encode() + b"\0\0\0\0")
    at = answer.index(bytes([len(topic) + 1]) + topic.encode()) + len(topic) + 1
    return answer[at : at + 16]


# --- all versions -----------------------------------------------------------------------------------------------------


def fetch(c, version, group, topic, topic_id, partition=0):
    """(offset, epoch, metadata, error) of one partition, in either of OffsetFetch's shapes."""
    wanted = {"name": topic, "partitions": [partition]}
    if version < 8:
        found = c.ask(FETCH, version, group_id=group, topics=[wanted])
    else:
        (found,) = c.ask(FETCH, version, groups=[{"group_id": group, "topics": [{**wanted, "topic_id": topic_id}]}])["groups"]
        equal(found["group_id"], group)
    equal(found.get("error", 0), 0)
    (one,) = found["topics"]
    equal((one.get("name", topic), one.get("topic_id", topic_id)), (topic, topic_id))
    (p,) = one["partitions"]
    equal(p["index"], partition)
    return p["offset"], p.get("leader_epoch"), p["metadata"], p["error"]


def life(group, topic, topic_id, at):
    """From the first join to the deletion; at(key) is the version to use."""
    c = Client()
    m = c.joined(group, version=at(JOIN), metadata=subscription(topic))
    equal((m["error"], m["generation"], m["leader"]), (0, 1, m["member"]))
    equal((m["protocol"], m.get("protocol_type", "consumer"), m.get("skip_assignment", False)), ("range", "consumer", False))
    equal(m["members"], [(m["member"], None, subscription(topic))])
    member = m["member"]
    more = {"protocol_type": "consumer", "protocol": "range"} if at(SYNC) >= 5 else {}
    found = c.ask(
        SYNC, at(SYNC), group_id=group, generation=1, member_id=member, **more,
        assignments=[{"member_id": member, "assignment": b"all"}],
    )  # fmt: skip
    equal((found["error"], found["assignment"]), (0, b"all"))
    equal((found.get("protocol_type", "consumer"), found.get("protocol", "range")), ("consumer", "range"))
    equal(c.heartbeat(group, 1, member, version=at(codec.HEARTBEAT)), 0)
    equal(c.heartbeat(group, 2, member, version=at(codec.HEARTBEAT)), ILLEGAL_GENERATION)
    equal(c.commit(group, topic, 42, 1, member, "words", 1, version=at(COMMIT), topic_id=topic_id), 0)
    offset, _, metadata, error = fetch(c, at(FETCH), group, topic, topic_id, 1)
    equal((offset, metadata, error), (42, "words", 0))
    equal(fetch(c, at(FETCH), group, topic, topic_id, 2)[0], -1)
    (described,) = c.ask(DESCRIBE, at(DESCRIBE), groups=[group])["groups"]
    equal([described[k] for k in ("error", "state", "protocol_type", "protocol")], [0, "Stable", "consumer", "range"])
    equal((described.get("error_message"), described.get("authorized_operations", NO_OPERATIONS)), (None, NO_OPERATIONS))
    (one,) = described["members"]
    equal((one["member_id"], one["client_id"], one["client_host"]), (member, "harness", "/127.0.0.1"))
    equal((one["metadata"], one["assignment"]), (subscription(topic), b"all"))
    assert group in c.list(at(LIST)), "listed"
    equal(c.delete(group, version=at(codec.DELETE)), [(group, NON_EMPTY)])
    if at(LEAVE) < 3:
        equal(c.leave(group, member, version=at(LEAVE)), 0)
    else:
        equal(c.leave_all(group, (member, None), version=at(LEAVE)), (0, [0]))
    located = c.ask(FIND, at(FIND), key=group, coordinator_keys=[group])
    located = located["coordinators"][0] if at(FIND) >= 4 else located
    equal((located["error"], located["host"], located["port"]), (0, "127.0.0.1", BROKER.port))
    equal(c.offset_delete(group, topic, 1), (0, 0))
    equal(c.delete(group, version=at(codec.DELETE)), [(group, 0)])
    assert group not in c.list(at(LIST)), "still listed"


@case("a group's whole life, in every version of every API")
def every_version():
    topic_id = create("life")
    for version in range(max(NEWEST.values()) + 1):
        life(f"life-{version}", "life", topic_id, lambda key: min(max(version, SERVED[key][0]), NEWEST[key]))


# --- one by one -------------------------------------------------------------------------------------------------------


@case("OffsetCommit: leader epochs from v6, topics by id from v10, GROUP_ID_NOT_FOUND from v9")
def offset_commit():
    c, topic_id = Client(), create("oc")
    for version in range(SERVED[COMMIT][0], NEWEST[COMMIT] + 1):
        by_id = version >= 10
        group, name = f"oc-{version}", "" if by_id else "oc"
        wanted = {"name": "oc", "topic_id": topic_id}
        partitions = [
            {"index": 0, "offset": 2**62, "leader_epoch": 7, "metadata": None},
            {"index": 2, "offset": 0, "metadata": "x" * 4096},
            {"index": 1, "offset": 5, "metadata": "x" * 4097},
            {"index": 3, "offset": 5},
            {"index": -1, "offset": 5},
        ]
        nobody = {"name": "nobody", "topic_id": NOBODY, "partitions": [{"index": 0, "offset": 1}]}
        found = c.ask(COMMIT, version, group_id=group, topics=[{**wanted, "partitions": partitions}, nobody])
        errors = [[(p["index"], p["error"]) for p in t["partitions"]] for t in found["topics"]]
        equal(errors[0], [(0, 0), (2, 0), (1, METADATA_TOO_LARGE), (3, UNKNOWN_TOPIC), (-1, UNKNOWN_TOPIC)], f"v{version}")
        equal(errors[1], [(0, UNKNOWN_TOPIC_ID if by_id else UNKNOWN_TOPIC)], f"v{version}")
        equal([t.get("name", "") for t in found["topics"]], [name, "" if by_id else "nobody"])
        equal([t.get("topic_id") for t in found["topics"]], [topic_id, NOBODY] if by_id else [None, None])
        equal(fetch(c, 7, group, "oc", topic_id), (2**62, 7 if version >= 6 else -1, "", 0), f"v{version}")
        equal(fetch(c, 7, group, "oc", topic_id, 2), (0, -1, "x" * 4096, 0))
        equal(fetch(c, 7, group, "oc", topic_id, 1), (-1, -1, "", 0))
        absent = c.commit("oc-absent", "oc", 1, 3, "m", version=version, topic_id=topic_id)
        equal(absent, NOT_FOUND if version >= 9 else ILLEGAL_GENERATION, f"v{version}")
        equal(c.ask(COMMIT, version, group_id=group, topics=[])["topics"], [])
    assert "oc-absent" not in c.list(), "a group of a refused commit"


@case("OffsetFetch: several groups, null topics, an absent group, topics by id, require_stable")
def offset_fetch():
    c, topic_id, other_id = Client(), create("of"), create("of-other")
    for g in range(3):
        for partition in range(3):
            equal(c.commit(f"of-{g}", "of", 10 * g + partition, partition=partition, metadata=f"{g}"), 0)
    equal(c.commit("of-1", "of-other", 77), 0)
    for version in range(8, NEWEST[FETCH] + 1):
        by_id = version >= 10
        one = {"name": "of", "topic_id": topic_id, "partitions": [2, 0, 99, -5]}
        asked = [
            {"group_id": "of-2", "topics": [one]},
            {"group_id": "of-1", "topics": None},
            {"group_id": "of-absent", "topics": None},
            {"group_id": "of-absent", "topics": [{**one, "partitions": [1]}], "member_id": "m", "member_epoch": 3},
            {"group_id": "of-0", "topics": []},
            {"group_id": "of-0", "topics": [{"name": "nobody", "topic_id": NOBODY, "partitions": [0]}], "member_epoch": -1},
        ]
        for stable in (False, True):
            found = c.ask(FETCH, version, groups=asked, require_stable=stable)["groups"]
            equal([(g["group_id"], g["error"]) for g in found], [(g["group_id"], 0) for g in asked], f"v{version}")

            def offsets(i):
                return [(t["topic_id"] if by_id else t["name"], {p["index"]: p["offset"] for p in t["partitions"]}) for t in found[i]["topics"]]

            of, other, nobody = (topic_id, other_id, NOBODY) if by_id else ("of", "of-other", "nobody")
            equal(offsets(0), [(of, {2: 22, 0: 20, 99: -1, -5: -1})], f"v{version}")
            equal(sorted(offsets(1)), sorted([(of, {0: 10, 1: 11, 2: 12}), (other, {0: 77})]), f"v{version}")
            equal((offsets(2), offsets(3), offsets(4)), ([], [(of, {1: -1})], []), f"v{version}")
            equal(offsets(5), [(nobody, {0: -1})])
            errors = {p["error"] for t in found[5]["topics"] for p in t["partitions"]}
            equal(errors, {UNKNOWN_TOPIC_ID if by_id else 0}, f"v{version}")
            equal({p["error"] for g in found[:5] for t in g["topics"] for p in t["partitions"]}, {0})
    for version in range(2, 8):
        found = c.ask(FETCH, version, group_id="of-1", topics=None)
        equal(sorted((t["name"], len(t["partitions"])) for t in found["topics"]), [("of", 3), ("of-other", 1)])
        equal(c.ask(FETCH, version, group_id="of-absent", topics=None)["topics"], [])
    equal(c.ask(FETCH, NEWEST[FETCH], groups=[])["groups"], [])
    assert "of-absent" not in c.list(), "a group that somebody asked for"


@case("JoinGroup: from v4 an id first, static members excepted; protocol_type from v7, null with an error; any reason")
def join_group():
    c = Client()
    for version in range(NEWEST[JOIN] + 1):
        found = c.join(f"jg-{version}", version=version, **({"reason": "because\u2026"} if version >= 8 else {}))
        equal(found["error"], MEMBER_ID_REQUIRED if version >= 4 else 0, f"v{version}")
        if version >= 4:
            nothing = None if version >= 7 else ""
            equal((found["generation"], found["leader"], found["protocol"], found["members"]), (-1, "", nothing, []))
            equal(found.get("protocol_type"), None)
            equal(c.state(f"jg-{version}"), "Empty")
        if version >= 5:
            found = c.join(f"jg-static-{version}", version=version, instance="i")
            equal((found["error"], found["members"]), (0, [(found["member"], "i", b"m")]), f"v{version}")
        wrong = c.join(f"jg-x-{version}", "nobody", version=version)
        equal((wrong["error"], wrong["generation"], wrong["member"]), (UNKNOWN_MEMBER, -1, "nobody"))


@case("JoinGroup v9: a static leader that comes back is told to skip the assignment, before v9 that it does not lead (KIP-814)")
def skip_assignment():
    for version in range(5, NEWEST[JOIN] + 1):
        group, a, b = f"skip-{version}", Client(), Client()
        one = a.join(group, instance="lead", version=version, session=30000)
        two = in_background(b.join, group, instance="follow", version=version, session=30000)
        while a.heartbeat(group, 1, one["member"], "lead") != REBALANCE:
            pass
        one, two = a.join(group, one["member"], instance="lead", version=version, session=30000), two()
        equal((one["generation"], len(one["members"]), two["members"]), (2, 2, []))
        waiting = in_background(b.sync, group, 2, two["member"], (), "follow")
        equal(a.sync(group, 2, one["member"], [(one["member"], b"A"), (two["member"], b"B")], "lead"), (0, b"A"))
        equal(waiting(), (0, b"B"))
        c = Client()
        again = c.join(group, instance="lead", version=version, session=30000)
        assert again["error"] == 0 and again["generation"] == 2 and again["member"] != one["member"], again
        if version >= 9:
            equal((again["skip_assignment"], again["leader"], len(again["members"])), (True, again["member"], 2))
        else:
            equal((again["leader"], again["members"]), (one["member"], []), f"v{version}")
        equal(c.sync(group, 2, again["member"], (), "lead"), (0, b"A"), "its assignment, without another")
        equal(b.heartbeat(group, 2, two["member"], "follow"), 0, "no rebalance")
        equal(a.heartbeat(group, 2, one["member"], "lead"), FENCED)
        follower = c.join(group, instance="follow", version=version, session=30000)
        equal((follower["generation"], follower.get("skip_assignment", False), follower["members"]), (2, False, []))
        equal(c.sync(group, 2, follower["member"], (), "follow"), (0, b"B"))


@case("SyncGroup v5: another protocol type or name is INCONSISTENT_GROUP_PROTOCOL, and harms nobody")
def sync_group():
    c = Client()
    m = c.joined("sg", version=9, protocols=("range", "roundrobin"))
    say = [(m["member"], b"x")]
    wrong = [("connect", "range"), ("consumer", "roundrobin"), ("", "range"), ("consumer", "")]
    missing = [(None, "range"), ("consumer", None), (None, None)]
    for kind, name in wrong + missing:
        found = c.ask(SYNC, 5, group_id="sg", generation=1, member_id=m["member"], protocol_type=kind, protocol=name)
        equal(found, {"throttle_time_ms": 0, "error": INCONSISTENT, "protocol_type": None, "protocol": None, "assignment": b""})
    equal(c.state("sg"), "CompletingRebalance")
    equal(c.sync("sg", 1, m["member"], say, version=5, protocol_type="consumer", protocol="range"), (0, b"x"))
    equal(c.sync("sg", 1, m["member"], (), version=5, protocol_type="consumer", protocol="no"), (INCONSISTENT, b""))
    equal(c.sync("sg", 1, m["member"], (), version=5, protocol_type="consumer", protocol="range"), (0, b"x"), "told again")
    equal(c.sync("sg", 1, m["member"], (), version=4), (0, b"x"), "v4 does not say it")
    equal(c.state("sg"), "Stable")


@case("LeaveGroup v3+: several at once, each with its own error; static ones by their instance")
def leave_group():
    for version in range(3, NEWEST[LEAVE] + 1):
        group, c = f"lg-{version}", Client()
        one = c.join(group, instance="i", version=7)
        two = in_background(Client().join, group, instance="j", version=7)
        while c.heartbeat(group, 1, one["member"], "i") != REBALANCE:
            pass
        given = c.join(group, version=7)  # an id that is never used
        equal(given["error"], MEMBER_ID_REQUIRED)
        equal(c.leave_all(group, (given["member"], None), version=version), (0, [0]), "a given id")
        one = c.join(group, one["member"], instance="i", version=7)
        two = two()
        equal((one["generation"], two["generation"]), (2, 2))
        gone = c.leave_all(group, ("who", None), (two["member"], "i"), ("", "k"), ("", "j"), (two["member"], "j"), version=version)
        equal(gone, (0, [UNKNOWN_MEMBER, FENCED, UNKNOWN_MEMBER, 0, UNKNOWN_MEMBER]), f"v{version}")
        equal(len(c.describe(group)[0][5]), 1)
        equal(c.leave_all(group, (one["member"], "i"), version=version), (0, [0]))
        equal(c.state(group), "Empty")
        equal(c.leave_all(f"{group}-absent", ("m", None), ("", "i"), version=version), (0, [UNKNOWN_MEMBER] * 2))
        equal(c.leave_all(group, version=version), (0, []), "nobody")
        equal(c.delete(group), [(group, 0)])


@case("DescribeGroups: instances from v4, authorized operations on demand from v3, GROUP_ID_NOT_FOUND with words from v6")
def describe_groups():
    c = Client()
    c.join("dg", instance="i", version=9)
    for version in range(NEWEST[DESCRIBE] + 1):
        for wanted in (False, True):
            found = c.ask(DESCRIBE, version, groups=["dg", "dg-absent", ""], include_authorized_operations=wanted)["groups"]
            here, absent, _ = found
            equal([g["group_id"] for g in found], ["dg", "dg-absent", ""])
            equal((here["error"], here["state"], here["protocol"]), (0, "CompletingRebalance", ""), f"v{version}")
            equal(here["members"][0].get("instance_id", "i"), "i")
            equal((absent["error"], absent["state"]), (NOT_FOUND if version >= 6 else 0, "Dead"), f"v{version}")
            assert version < 6 or "dg-absent" in absent["error_message"], absent
            if version >= 3:
                equal(here["authorized_operations"], OPERATIONS if wanted else NO_OPERATIONS, f"v{version}")
        equal(c.ask(DESCRIBE, version, groups=[])["groups"], [])


@case("ListGroups: filters by state (v4) and type (v5), in any case; together with those that are in the store only")
def list_groups():
    c = Client()
    m = c.joined("ls-stable")
    equal(c.sync("ls-stable", 1, m["member"], [(m["member"], b"x")])[0], 0)
    c.joined("ls-completing")
    create("ls")
    equal(c.commit("ls-offsets", "ls", 1), 0)

    def mine(found):
        return {g: s for g, s in found.items() if g.startswith("ls-")}

    everything = {"ls-stable": "Stable", "ls-completing": "CompletingRebalance", "ls-offsets": "Empty"}
    for version in range(NEWEST[LIST] + 1):
        equal(mine(c.list(version)), {g: s if version >= 4 else None for g, s in everything.items()}, f"v{version}")
    for version in (4, 5):
        equal(mine(c.list(version, states_filter=["Stable"])), {"ls-stable": "Stable"})
        equal(mine(c.list(version, states_filter=["empty", "STABLE"])), {"ls-stable": "Stable", "ls-offsets": "Empty"})
        equal(mine(c.list(version, states_filter=["Nowhere", ""])), {})
        equal(mine(c.list(version, states_filter=["Dead", "PreparingRebalance"])), {})
    equal(mine(c.list(5, types_filter=["Classic"])), everything)
    equal(mine(c.list(5, types_filter=["consumer", "share"])), {})
    equal(mine(c.list(5, types_filter=["consumer", "classic"], states_filter=["Empty"])), {"ls-offsets": "Empty"})
    rows = {g["group_id"]: g for g in c.ask(LIST, 5)["groups"]}
    equal((rows["ls-stable"]["type"], rows["ls-stable"]["protocol_type"]), ("classic", "consumer"))
    equal((rows["ls-offsets"]["type"], rows["ls-offsets"]["protocol_type"]), ("classic", ""))


@case("DeleteGroups: several at several workers, each with its own result, in order")
def delete_groups():
    c = Client()
    create("del")
    for version in range(3):
        names = [f"del-{version}-{i}" for i in range(20)]
        for name in names[::2]:
            equal(c.commit(name, "del", 1), 0)
        live = c.joined(names[0])
        expected = [(n, NON_EMPTY if n == names[0] else NOT_FOUND if i % 2 else 0) for i, n in enumerate(names)]
        equal(c.delete(*names, version=version), expected, f"v{version}")
        equal(c.delete(*names[1:], version=version), [(n, NOT_FOUND) for n in names[1:]], f"v{version}")
        equal([c.committed(n, "del")[0] for n in names[:4]], [1, -1, -1, -1], "offsets")
        equal(c.leave(names[0], live["member"]), 0)
        equal(c.delete(names[0], version=version), [(names[0], 0)])
        equal(c.delete(version=version), [])


@case("FindCoordinator: many keys from v4; transactions and share groups are refused with a reason")
def find_coordinator():
    c = Client()
    for version in range(NEWEST[FIND] + 1):
        keys = ["a", "", "b" * 300, "a"] if version >= 4 else ["a"]
        kinds = {0: 0} if version < 1 else {0: 0, 1: TRANSACTIONS_DENIED, 2: INVALID_REQUEST, 77: INVALID_REQUEST, -1: INVALID_REQUEST}
        for kind, error in kinds.items():
            found = c.ask(FIND, version, key="a", key_type=kind, coordinator_keys=keys)
            rows = found["coordinators"] if version >= 4 else [found]
            equal([r.get("key", "a") for r in rows], keys, f"v{version}")
            equal({r["error"] for r in rows}, {error}, f"v{version} type {kind}")
            place = ("", -1, -1) if error else ("127.0.0.1", BROKER.port, rows[0]["node_id"])
            equal({(r["host"], r["port"], r["node_id"]) for r in rows}, {place}, f"v{version} type {kind}")
            assert version < 1 or bool(rows[0]["error_message"]) == bool(error), rows[0]
    equal(c.ask(FIND, NEWEST[FIND], coordinator_keys=[])["coordinators"], [])


# --- the judges -------------------------------------------------------------------------------------------------------


@case("nothing that is served was left out")
def complete():
    equal(sorted(set(SERVED) - set(codec.NAMES) - NOT_ABOUT_GROUPS), [], "APIs that are new here: are they about groups?")
    equal(sorted(set(codec.NAMES) - set(SERVED)), [], "APIs that are not served any more")
    wanted = {(key, v) for key in codec.NAMES for v in range(SERVED[key][0], SERVED[key][1] + 1)}
    equal(sorted(wanted - set(raw.exchanges)), [], "(API, version) that nobody asked")


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
