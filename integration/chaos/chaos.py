"""SIGKILL in the middle of work. Nothing acknowledged is lost, nobody else is disturbed, and the dead are replaced."""

import contextlib
import datetime
import os
import re
import select
import signal
import statistics
import time

from harness import patience, procs, wire
from harness.broker import Broker
from harness.cases import case, equal, eventually, note, run_cases
from load import Load, all_back, create, judge, number_of, read_all, serving_me

from confluent_kafka import Consumer, TopicPartition

ALL = {"acks": "all"}
ONE = {"acks": "1"}
IDEMPOTENT = {"enable.idempotence": True}
AT_ONCE_MS = 100  # a new worker, after a death: a promise of the broker


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def kill_serving(broker):
    """Kill the workers that serve this process, of whom there is at least one; their names."""
    workers = eventually(lambda: serving_me(broker), what="a worker that serves the client")
    for pid in workers.values():
        with contextlib.suppress(ProcessLookupError):
            kill(pid)
    return sorted(workers)


def deaths(log):
    """[(name, ms until its successor was started)] by the broker's own lines."""
    found, died = [], {}
    for line in log.splitlines():
        stamp, event = line[:24], line
        dead = re.search(r"process was killed process=(\S+)", event)
        born = re.search(r"process started process=(\S+)", event)
        if dead:
            died[dead.group(1)] = datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00"))
        elif born and born.group(1) in died:
            then = died.pop(born.group(1))
            now = datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00"))
            found.append((born.group(1), (now - then).total_seconds() * 1000))
    return found


# --- killed while producing --------------------------------------------------------------------------------------


def produce_case(title, settings, exactly_once):
    @case(f"worker killed under {title}: nothing acknowledged is lost", timeout_s=60)
    def killed():
        with Broker().expect_deaths() as broker:
            create(broker, "t", 3)
            with Load(broker, "t", 3, settings) as load:
                killed = []
                for _ in range(5):
                    load.wait(3000)
                    killed += kill_serving(broker)
                load.wait(3000)
            extra = judge(broker, load, exactly_once)
            assert load.longest_s < 3 * patience.factor(), load.longest_s
            note(
                f"killed {' '.join(killed)}; {len(load.acknowledged)} acknowledged, {extra} stored besides;"
                f" longest wait for an acknowledgement {load.longest_s * 1000:.0f} ms"
            )


produce_case("acks=all, idempotent", IDEMPOTENT, True)
produce_case("acks=all", ALL, False)
produce_case("acks=1", ONE, False)


@case("checkpointer killed under acks=all: its successor goes on, workers live", timeout_s=60)
def checkpointer():
    with Broker() as broker:  # whose workers must all be the first ones at the end
        create(broker, "t", 3)
        with Load(broker, "t", 3, IDEMPOTENT) as load:
            for _ in range(4):
                load.wait(3000)
                kill(eventually(lambda: broker.children().get("checkpointer"), what="a checkpointer"))
            load.wait(3000)
        judge(broker, load, True)
        note(f"longest wait for an acknowledgement {load.longest_s * 1000:.0f} ms (the fourth successor may start after 400 ms)")


@case("cleaner killed: replaced, nobody else notices", timeout_s=30)
def cleaner():
    with Broker() as broker:
        create(broker, "t", 1)
        with Load(broker, "t", 1, IDEMPOTENT) as load:
            for _ in range(3):
                pid = eventually(lambda: broker.children().get("cleaner"), what="a cleaner")
                kill(pid)
                load.wait(2000)
                eventually(lambda: broker.children().get("cleaner") not in (None, pid), what="another cleaner")
        judge(broker, load, True)
        note(f"longest wait for an acknowledgement {load.longest_s * 1000:.0f} ms")


@case("all workers killed at once, then all children", timeout_s=60)
def everybody():
    with Broker().expect_deaths() as broker:
        create(broker, "t", 3)
        with Load(broker, "t", 3, IDEMPOTENT) as load:
            load.wait(3000)
            for pid in broker.worker_pids().values():
                kill(pid)
            load.wait(3000)
            all_back(broker)
            for pid in broker.children().values():
                kill(pid)
            load.wait(3000)
        judge(broker, load, True)
        all_back(broker)


@case("the whole broker killed and started again, three times: nothing acknowledged is lost", timeout_s=60)
def supervisor():
    with Broker().expect_deaths() as broker:
        create(broker, "t", 3)
        create(broker, "one", 3)
        with Load(broker, "t", 3, IDEMPOTENT) as load, Load(broker, "one", 3, ONE) as other:
            for _ in range(3):
                load.wait(3000)
                other.wait(1000)
                broker.kill()
                broker.start()
            load.wait(3000)
            other.wait(1000)
        extra = judge(broker, load, True)
        twice = judge(broker, other, False)
        note(f"{len(load.acknowledged)} idempotent, {extra} stored besides; {len(other.acknowledged)} with acks=1, {twice} stored besides")


@case("killed at once after each acknowledgement: it is there", timeout_s=60)
def last_acknowledged():
    """The other cases may be lucky with the last messages before a death. Here each is the last."""
    with Broker(workers=2).expect_deaths() as broker:
        for acks in ("all", "1"):
            create(broker, f"last-{acks}")
        for round_ in range(6):
            acks = ("all", "1")[round_ % 2]
            with Load(broker, f"last-{acks}", 1, {"acks": acks}) as load:
                load.wait(1)
                if round_ < 4:
                    kill_serving(broker)
                else:
                    broker.kill()
                    broker.start()
            log = read_all(broker, load.topic, 1)[0]
            for number, (_, offset) in load.acknowledged.items():
                equal((log[offset][0], number_of(log[offset][1])), (offset, number))


# --- killed while fetching ---------------------------------------------------------------------------------------


@case("worker killed under a consumer: each message once, in order", timeout_s=60)
def fetching():
    with Broker().expect_deaths() as broker:
        create(broker, "t")
        with Load(broker, "t", 1, ALL) as load:
            load.wait(20_000)
        client = Consumer(
            {
                "bootstrap.servers": broker.bootstrap,
                "group.id": "unused",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "fetch.message.max.bytes": 20_000,
                "queued.min.messages": 1000,
                "queued.max.messages.kbytes": 100,
                "fetch.error.backoff.ms": 5,
                "reconnect.backoff.ms": 5,
                "reconnect.backoff.max.ms": 50,
                "log_level": 2,
            }
        )
        client.assign([TopicPartition("t", 0, 0)])
        offsets, kills, end = [], 0, load.sent
        deadline = time.monotonic() + 30 * patience.factor()
        while len(offsets) < end:
            assert time.monotonic() < deadline, f"{len(offsets)} of {end} after {kills} kills"
            offsets += [message.offset() for message in client.consume(100, 0.05) if not message.error()]
            if kills < 3 and len(offsets) > (kills + 1) * end // 5:
                kill_serving(broker)
                kills += 1
        client.close()
        equal(kills, 3)
        equal(offsets, list(range(end)))


# --- the others --------------------------------------------------------------------------------------------------


def served_by(broker, connections):
    """{name of worker: its connections}."""
    found = {}
    for connection in connections:
        connection.ask(wire.API_VERSIONS, 0)
        found.setdefault(broker.worker_of(connection.local_port)[0], []).append(connection)
    return found


def silent(connections):
    """True if nothing has come: no answer, no end."""
    return not select.select([c.socket for c in connections], [], [], 0)[0]


@case(f"a worker dies: the next serves within {AT_ONCE_MS} ms, the others' clients notice nothing", timeout_s=60)
def bystanders():
    with Broker().expect_deaths() as broker:
        create(broker, "t")
        talking = served_by(broker, [broker.connect() for _ in range(16)])
        waiting = served_by(broker, [broker.connect() for _ in range(16)])
        equal((sorted(talking), sorted(waiting)), (sorted(broker.worker_pids()),) * 2, "workers with connections")
        for connection in (c for some in waiting.values() for c in some):
            connection.send(wire.FETCH, 11, wire.fetch_body("t", 0, max_wait_ms=60_000))
        took_ms, dead, held = [], [], []
        for name, pid in broker.worker_pids().items():
            begin = time.monotonic()
            kill(pid)
            took_ms.append((until_served_by_next(broker, name, pid, held) - begin) * 1000)
            dead.append(name)
            for connection in talking[name] + waiting[name]:
                assert connection.is_closed(5), "a connection of the dead worker stays open"
            for other in set(talking) - set(dead):
                for connection in talking[other]:
                    connection.ask(wire.API_VERSIONS, 0)
                assert silent(waiting[other]), f"{name} died, and a fetch that waits at {other} was answered or closed"
        by_log = deaths(broker.log())
        note(f"killed until the next one answers: {', '.join(f'{ms:.0f}' for ms in took_ms)} ms")
        note(f"by the broker's lines, from the death to the start: {', '.join(f'{ms:.0f}' for _, ms in by_log)} ms")
        equal(sorted(name for name, _ in by_log), sorted(dead))
        # The median: this machine may be busy with something else for a moment.
        assert statistics.median(took_ms) < AT_ONCE_MS * patience.factor(), took_ms
        assert statistics.median(ms for _, ms in by_log) < AT_ONCE_MS * patience.factor(), by_log
        for name, pid in broker.first_workers.items():
            assert re.search(rf"ERROR supervisor\S* process was killed process={name} pid={pid} .*number=9", broker.log()), name


def until_served_by_next(broker, name, pid, held):
    """When a connection was first answered by the worker of this name that is not pid. Those tried until then stay open in
    held: the next connection goes to whoever has fewest."""
    deadline = time.monotonic() + 10 * patience.factor()
    while time.monotonic() < deadline:
        try:
            held.append(broker.connect())
            held[-1].ask(wire.API_VERSIONS, 0)
        except (OSError, EOFError):
            continue  # it was handed to the dying one
        now = time.monotonic()
        worker = broker.worker_of(held[-1].local_port)
        if worker and worker[0] == name and worker[1] != pid:
            return now
    raise AssertionError(f"no other {name} within 10 s")


@case("connections that a worker had not yet taken when it died are served by the next", timeout_s=30)
def backlog():
    with Broker().expect_deaths() as broker:
        workers = broker.worker_pids()
        for pid in workers.values():
            os.kill(pid, signal.SIGSTOP)  # so that they take nothing
        held = [broker.connect() for _ in range(20)]
        for connection in held:
            connection.send(wire.API_VERSIONS, 0)
        # The supervisor has handed them over when it has no more than its own part of them open.
        eventually(lambda: not any(procs.serving(broker.port, c.local_port, [broker.pid]) for c in held), what="handed over")
        for pid in workers.values():
            kill(pid)
        for connection in held:
            equal(connection.receive()[0], 1, "correlation id")


@case("a worker that dies again and again is started at longer and longer intervals; others serve on", timeout_s=60)
def back_off():
    with Broker().expect_deaths() as broker:
        others = [c for name, some in served_by(broker, [broker.connect() for _ in range(8)]).items() if name != "worker-0" for c in some]
        gaps_ms = []
        for _ in range(6):
            pid = eventually(lambda: broker.worker_pids().get("worker-0"), what="worker-0")
            kill(pid)
            begin = time.monotonic()
            eventually(lambda: broker.worker_pids().get("worker-0") not in (None, pid), 15, "the next", 0.001)
            gaps_ms.append((time.monotonic() - begin) * 1000)
            for connection in others:
                connection.ask(wire.API_VERSIONS, 0)
        note("worker-0 was back after " + ", ".join(f"{ms:.0f}" for ms in gaps_ms) + " ms")
        assert gaps_ms[0] < AT_ONCE_MS * patience.factor(), gaps_ms
        said = [int(ms) for ms in re.findall(r"the next has to wait process=worker-0 starts_in_ms=(\d+)", broker.log())]
        assert len(said) == 5 and all(ms / 2 < m <= ms for m, ms in zip(said, (100, 200, 400, 800, 1600))), said
        assert gaps_ms[5] > 400 and gaps_ms[5] > gaps_ms[3] > gaps_ms[1], gaps_ms
        assert gaps_ms[5] < 12_000 * patience.factor(), gaps_ms


run_cases()
