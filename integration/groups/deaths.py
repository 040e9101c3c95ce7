"""The worker that coordinates a group is killed; the broker is killed, stopped, started with other workers."""

import os
import signal
import time

from harness.broker import Broker
from harness.cases import case, equal, eventually, note, run_cases

from confluent_kafka import Consumer, TopicPartition

from member import QUIET, Member, create, everything, owner, produce, share


def committed(broker, group, topic, partitions):
    c = Consumer({"bootstrap.servers": broker.bootstrap, **QUIET, "group.id": group})
    got = c.committed([TopicPartition(topic, i) for i in range(partitions)], timeout=10)
    c.close()
    return [p.offset for p in got]


@case("the owner of a stable group is killed: nobody loses its place, no rebalance", timeout_s=90)
def owner_dies():
    with Broker().expect_deaths() as broker:
        create(broker, "t", 6)
        members = [Member(broker, "g", "t", commit_each=True, session_timeout_ms=10000) for _ in range(3)]
        share(members, 6)
        produce(broker, "t", range(60), 6)
        everything(members, range(60))
        before = [m.assigned for m in members]
        rebalances = broker.log().count("group rebalances")
        for i in range(5):
            name, pid = owner(broker, "g")[0], None
            pid = broker.worker_pids()[name]
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: broker.worker_pids().get(name) not in (None, pid), what="a successor")
            values = range(60 + i * 60, 120 + i * 60)
            produce(broker, "t", values, 6)
            everything(members, values, 30)
        equal([m.assigned for m in members], before, "assignments")
        equal([m.losses for m in members], [[], [], []], "losses")
        equal(broker.log().count("group rebalances"), rebalances, "rebalances")
        for m in members:
            m.stop()


@case("the owner is killed while members join, twenty times", timeout_s=150)
def owner_dies_while_joining():
    with Broker().expect_deaths() as broker:
        create(broker, "t", 4)
        members = []
        for i in range(20):
            members.append(Member(broker, "g", "t", session_timeout_ms=6000))
            if "group rebalances group=g " in broker.log():
                name = owner(broker, "g")[0]
                pid = broker.worker_pids().get(name)
                if pid:
                    os.kill(pid, signal.SIGKILL)
            if len(members) > 3:
                members.pop(0).stop()
        share(members, 4, 60)
        produce(broker, "t", range(40), 4)
        everything(members, range(40), 30)
        for m in members:
            m.stop()


@case("commits survive SIGKILL of the whole broker; -w may differ; members go on", timeout_s=90)
def broker_dies():
    broker = Broker(workers=4).expect_deaths()
    try:
        broker.start()
        create(broker, "t", 4)
        m = Member(broker, "g", "t", commit_each=True, session_timeout_ms=10000)
        produce(broker, "t", range(40), 4)
        everything([m], range(40))
        eventually(lambda: committed(broker, "g", "t", 4) == [10] * 4, what="commits")
        for workers in (3, 1, 4):
            broker.kill()
            broker.workers = workers
            broker.start()
            equal(committed(broker, "g", "t", 4), [10] * 4, f"committed, with {workers} workers")
        eventually(lambda: m.assigned == {0, 1, 2, 3}, 30, "the member goes on")
        equal(m.losses, [], "losses")
        produce(broker, "t", range(40, 80), 4)
        everything([m], range(40, 80), 30)
        m.stop()
        equal(committed(broker, "g", "t", 4), [20] * 4)
        equal(broker.stop(), [])
        broker.start()
        equal(committed(broker, "g", "t", 4), [20] * 4, "after a clean stop")
        equal(broker.stop(), [])
    finally:
        if broker.process and broker.process.poll() is None:
            broker.kill()
        broker.remove()


if __name__ == "__main__":
    run_cases()
