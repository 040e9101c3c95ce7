"""Members come and go: eager and cooperative assignors, static members, many groups; with librdkafka's own logic."""

import subprocess
import time

import harness.six_for_kafka  # noqa: F401
from confluent_kafka import Consumer, TopicPartition
from kafka import KafkaAdminClient

from harness.broker import Broker
from harness.cases import case, equal, eventually, note, run_cases

from harness.kcat import KCAT

from member import QUIET, Member, create, everything, produce, share

BROKER = Broker().start()


def admin():
    return KafkaAdminClient(bootstrap_servers=BROKER.bootstrap)


def describe(group):
    return admin().describe_consumer_groups([group])[0]


@case("one member reads all, commits, and goes on there after a restart of the client")
def one():
    create(BROKER, "one", 4)
    produce(BROKER, "one", range(40), 4)
    m = Member(BROKER, "g-one", "one", commit_each=True)
    everything([m], range(40))
    eventually(lambda: len(m.read) == 40, what="forty reads")
    m.stop()
    equal(m.errors, [], "errors")
    produce(BROKER, "one", range(40, 48), 4)
    m = Member(BROKER, "g-one", "one", commit_each=True)
    everything([m], range(40, 48))
    m.stop()
    equal(sorted(int(v) for _, _, v in m.read), list(range(40, 48)), "only what is new")


@case("join to assignment of one member")
def fast():
    create(BROKER, "fast", 1)
    took = []
    for _ in range(3):
        begin = time.monotonic()
        m = Member(BROKER, "g-fast", "fast")
        eventually(lambda: m.assigned == {0}, what="assigned")
        took.append((time.monotonic() - begin) * 1000)
        m.stop()
    note(f"from the client's start: {min(took):.0f} ms")


@case("three members share six partitions; one leaves, one comes", timeout_s=60)
def several():
    create(BROKER, "several", 6)
    members = [Member(BROKER, "g-several", "several", commit_each=True) for _ in range(3)]
    share(members, 6)
    produce(BROKER, "several", range(60), 6)
    everything(members, range(60))
    members.pop().stop()
    share(members, 6)
    members.append(Member(BROKER, "g-several", "several", commit_each=True))
    share(members, 6)
    produce(BROKER, "several", range(60, 120), 6)
    everything(members, range(60, 120))
    equal(describe("g-several").state, "Stable")
    equal(len(describe("g-several").members), 3)
    for m in members:
        m.stop()
    equal(describe("g-several").state, "Empty")


@case("cooperative-sticky: nobody gives up what it keeps", timeout_s=60)
def cooperative():
    create(BROKER, "sticky", 6)
    options = {"partition_assignment_strategy": "cooperative-sticky"}
    members = [Member(BROKER, "g-sticky", "sticky", **options)]
    share(members, 6)
    members.append(Member(BROKER, "g-sticky", "sticky", **options))
    share(members, 6)
    members.append(Member(BROKER, "g-sticky", "sticky", **options))
    share(members, 6)
    equal(members[0].losses, [], "lost partitions")
    equal(sum(len(r) for r in members[0].revokes), 4, "partitions that the first member gave up")
    for m in members:
        m.stop()


@case("a static member's client starts again without a rebalance", timeout_s=60)
def static():
    create(BROKER, "static", 4)
    members = [Member(BROKER, "g-static", "static", group_instance_id=f"i{i}", session_timeout_ms=20000) for i in range(2)]
    share(members, 4)
    before, assigns = members[1].assigned, len(members[1].assigns)
    kept = members[0].assigned
    members[0].stop()  # a static member does not say that it leaves
    members[0] = Member(BROKER, "g-static", "static", group_instance_id="i0", session_timeout_ms=20000)
    eventually(lambda: members[0].assigned == kept, what="its old partitions")
    equal(members[1].assigned, before)
    equal(len(members[1].assigns), assigns, "assignments of the other member")
    equal(len(describe("g-static").members), 2)
    for m in members:
        m.stop()


@case("a member that vanishes is missed after its session; the others take over", timeout_s=60)
def vanished():
    create(BROKER, "vanish", 4)
    stays = Member(BROKER, "g-vanish", "vanish")
    command = [KCAT, "-b", BROKER.bootstrap, "-G", "g-vanish", "-q", "-X", "session.timeout.ms=6000", "vanish"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as goes:
        eventually(lambda: len(stays.assigned) == 2, 20, "two members share")
        goes.kill()
    eventually(lambda: stays.assigned == {0, 1, 2, 3}, 20, "all partitions are with the one that stays")
    stays.stop()


@case("a hundred groups at once", timeout_s=90)
def hundred():
    create(BROKER, "hundred", 1)
    produce(BROKER, "hundred", range(5), 1)
    members = [Member(BROKER, f"g-hundred-{i}", "hundred") for i in range(100)]
    eventually(lambda: all(len(m.read) >= 5 for m in members), 60, "all hundred have read five")
    equal(sum(g.startswith("g-hundred-") for g, _ in admin().list_consumer_groups()), 100)
    equal(describe("g-hundred-7").state, "Stable")
    for m in members:
        m.stopping.set()
    for m in members:
        m.stop()
    groups = [f"g-hundred-{i}" for i in range(100)]
    equal({error.errno for _, error in admin().delete_consumer_groups(groups)}, {0})
    equal([g for g, _ in admin().list_consumer_groups() if g in groups], [], "deleted groups")


@case("offsets: metadata, one's own commits without a group, all of a group's")
def offsets():
    create(BROKER, "simple", 3)
    c = Consumer({"bootstrap.servers": BROKER.bootstrap, **QUIET, "group.id": "g-simple", "enable.auto.commit": False})
    c.assign([TopicPartition("simple", 0)])
    c.commit(offsets=[TopicPartition("simple", 0, 5), TopicPartition("simple", 2, 7)], asynchronous=False)
    got = c.committed([TopicPartition("simple", i) for i in range(3)], timeout=10)
    equal([p.offset for p in got], [5, -1001, 7])
    c.close()
    equal(describe("g-simple").state, "Empty")


def end():
    wrong = BROKER.stop()
    BROKER.remove()
    assert not wrong, wrong


case("the broker ends well")(end)

if __name__ == "__main__":
    run_cases()
