"""Many members, many groups; and the broker started again with another number of workers, so that they all have other owners."""

import struct
import time

import raw
from codec import JOIN, SYNC
from harness import patience
from harness.broker import Broker
from harness.cases import case, equal, eventually, note, run_cases
from harness.wire import string
from raw import assemble

LONG = {"session": 60000, "rebalance": 60000}
MEMBERS, GROUPS = 200, 100


def started():
    return Broker(options=["-o", "group.max.session.timeout.ms=600000"]).expect_deaths()


def create(broker, topic):
    with broker.connect() as wire:  # Metadata v1 creates
        wire.ask(3, 1, struct.pack(">i", 1) + string(topic))


def share(clients, group, members):
    """The leader assigns, and all are told: each gets its own id."""
    generation = members[0]["generation"]
    for c, m in list(zip(clients, members))[1:]:
        c.send(SYNC, 3, group_id=group, generation=generation, member_id=m["member"])
    say = [(m["member"], m["member"].encode()) for m in members]
    equal(clients[0].sync(group, generation, members[0]["member"], say), (0, say[0][1]))
    for c, m in list(zip(clients, members))[1:]:
        answer = c.answer(SYNC, 3)
        equal((answer["error"], answer["assignment"]), (0, m["member"].encode()))


def all_is_as_before(broker, told):
    """told: {group: [member as it was told by JoinGroup]}. Nobody notices that the broker was another one meanwhile."""
    client = eventually(lambda: connect(broker), what="a connection")
    for group, members in told.items():
        generation = members[0]["generation"]
        for m in members:
            equal(client.heartbeat(group, generation, m["member"]), 0, f"{group}: heartbeat")
            equal(client.sync(group, generation, m["member"]), (0, m["member"].encode()), f"{group}: its assignment")
        [(_, _, state, _, _, described)] = client.describe(group)
        equal((state, sorted(d[0] for d in described)), ("Stable", sorted(m["member"] for m in members)))
        equal(client.commit(group, "t", generation, generation, members[0]["member"]), 0)
    client.close()


def connect(broker):
    try:
        return raw.Client(broker)
    except OSError:
        return None


def restarted_with(broker, workers, told):
    broker.workers = workers
    begin = time.monotonic()
    broker.start()
    all_is_as_before(broker, told)
    return (time.monotonic() - begin) * 1000


@case(f"{MEMBERS} members: a rebalance, and the same generation after restarts with 1, 3 and 4 workers", timeout_s=90)
def one_large():
    with started() as broker:
        create(broker, "t")
        clients = [raw.Client(broker, timeout_s=30) for _ in range(MEMBERS)]
        begin = time.monotonic()
        members = assemble(clients, "large", **LONG)
        share(clients, "large", members)
        formed = (time.monotonic() - begin) * 1000
        # Everybody once more, with something else to say.
        begin = time.monotonic()
        for c, m in zip(clients, members):
            c.send(JOIN, 5, group_id="large", member_id=m["member"], session_timeout_ms=60000, rebalance_timeout_ms=60000,
                   protocol_type="consumer", protocols=[{"name": "range", "metadata": b"once more"}])  # fmt: skip
        again = [c.answer(JOIN, 5) for c in clients]
        leader = next(i for i, a in enumerate(again) if a["members"])
        equal({a["error"] for a in again}, {0})
        generation = again[leader]["generation"]
        equal({a["generation"] for a in again}, {generation}, "one generation")
        members = [{"member": a["member_id"], "generation": a["generation"]} for a in again]
        order = [leader, *(i for i in range(MEMBERS) if i != leader)]
        clients, members = [clients[i] for i in order], [members[i] for i in order]
        share(clients, "large", members)
        rebalanced = (time.monotonic() - begin) * 1000
        note(f"formed within {formed:.0f} ms, a rebalance of {MEMBERS} members {rebalanced:.0f} ms, with this client's own time")
        assert rebalanced < 2000 * patience.factor(), rebalanced
        for workers in (1, 3, 4):
            broker.kill()
            restarted_with(broker, workers, {"large": members})


@case(f"{GROUPS} groups of two: all form at once, and all are there after restarts with 2, 5 and 1 workers", timeout_s=90)
def many_groups():
    with started() as broker:
        create(broker, "t")
        begin = time.monotonic()
        told = {}
        for i in range(GROUPS):
            clients = [raw.Client(broker), raw.Client(broker)]
            told[f"many-{i}"] = assemble(clients, f"many-{i}", **LONG)
            share(clients, f"many-{i}", told[f"many-{i}"])
            for c in clients:
                c.close()
        note(f"{GROUPS} groups of two within {(time.monotonic() - begin) * 1000:.0f} ms, one after the other")
        client = raw.Client(broker)
        equal(client.list(states_filter=["Stable"]), dict.fromkeys(told, "Stable"))
        client.close()
        for workers, how in ((2, "killed"), (5, "stopped"), (1, "killed")):
            if how == "killed":
                broker.kill()
            else:
                equal(broker.stop(), [])
            took = restarted_with(broker, workers, told)
            note(f"{how}, with {workers} workers: {len(told)} groups asked about everything within {took:.0f} ms of the start")
            client = raw.Client(broker)
            equal(client.list(states_filter=["Stable"]), dict.fromkeys(told, "Stable"), f"with {workers} workers")
            equal({client.committed(g, "t")[0] for g in told}, {2})
            client.close()


if __name__ == "__main__":
    run_cases()
