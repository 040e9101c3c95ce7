"""SIGSTOP: processes that live and do not move. How long others wait for them is bounded (docs/operations.md), and who goes
on in time is left alone."""

import contextlib
import os
import re
import signal
import struct
import time

from harness import patience, wire
from harness.broker import Broker
from harness.cases import case, equal, eventually, note, run_cases
from load import Load, all_back, create, judge, serving_me

NEEDED_S = 1  # after which a stopped process is killed for which all wait
OTHERS_S = 10  # and anybody else
REST_S = 1.5  # for all that comes after the kill, on a busy machine
IDEMPOTENT = {"enable.idempotence": True}


def stop(pid):
    """Returns when it has stopped."""
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: state(pid) == "T", what="the process stands still", pause_s=0)


def go_on(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def state(pid):
    with contextlib.suppress(FileNotFoundError):
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    raise AssertionError(f"process {pid} is gone")


def lock_owner(broker):
    """The pid that has the store's writer lock, 0: nobody: the robust futex that LMDB keeps in lock.mdb, in the second line of cache."""
    with open(os.path.join(broker.data, "lock.mdb"), "rb") as file:
        return struct.unpack_from("<I", file.read(128), 64)[0] & 0x3FFFFFFF


def stop_with_the_lock(broker, pid):
    """Stop the process at a moment at which it has the lock."""
    deadline = time.monotonic() + 30 * patience.factor()
    while True:
        stop(pid)
        if lock_owner(broker) == pid:
            return
        go_on(pid)
        if time.monotonic() > deadline:
            raise AssertionError(f"in 30 s process {pid} never had the lock when it was looked at")
        time.sleep(0.001)


def killed(broker, name):
    """What the log says about the end of this process."""
    found = re.search(rf"does not move: killing it process={name} .*", broker.log())
    return found and found.group(0)


@case("a worker stopped while it has the writer lock: writers of other workers wait for 1 s, nothing is lost", timeout_s=90)
def with_the_lock():
    with Broker().expect_deaths() as broker:
        create(broker, "t", 3)
        create(broker, "u")
        # Large messages: most of its time this worker is writing.
        with Load(broker, "t", 3, IDEMPOTENT, padding=10_000) as load:
            load.wait(1000)
            ((name, pid),) = serving_me(broker).items()
            with Load(broker, "u", 1, IDEMPOTENT) as other:
                other.wait(1000)
                assert len(serving_me(broker)) == 2, f"both loads are served by {name}"
                try:
                    stop_with_the_lock(broker, pid)
                    other.longest_s = 0
                    other.wait(3000, timeout_s=15)  # more than can be under way
                finally:
                    go_on(pid)
                load.wait(1000)
        note(f"{name} was stopped with the lock; others' longest wait for an acknowledgement {other.longest_s:.2f} s")
        assert "others wait for it" in (killed(broker, name) or ""), "no line about it"
        assert other.longest_s < (NEEDED_S + REST_S) * patience.factor(), other.longest_s
        judge(broker, load, True)
        judge(broker, other, True)


@case("the checkpointer stopped: answers wait for 1 s, workers live, nothing is lost", timeout_s=60)
def checkpointer():
    with Broker() as broker:  # whose workers must all be the first ones at the end
        create(broker, "t", 3)
        with Load(broker, "t", 3, IDEMPOTENT) as load:
            load.wait(3000)
            pid = broker.children()["checkpointer"]
            for _ in range(3):  # a moment harms nobody
                stop(pid)
                time.sleep(NEEDED_S / 4)
                go_on(pid)
                load.wait(500)
            equal(broker.children()["checkpointer"], pid)
            load.longest_s = 0
            stop(pid)
            load.wait(3000, timeout_s=15)
        note(f"longest wait for an acknowledgement {load.longest_s:.2f} s")
        assert "others wait for it" in (killed(broker, "checkpointer") or ""), "no line about it"
        assert load.longest_s < (NEEDED_S + REST_S) * patience.factor(), load.longest_s
        judge(broker, load, True)


@case("a worker and the cleaner stopped in their sleep: others notice nothing; after 10 s they are replaced", timeout_s=60)
def in_their_sleep():
    with Broker().expect_deaths() as broker:
        create(broker, "t", 3)
        with Load(broker, "t", 3, IDEMPOTENT) as load:
            load.wait(1000)
            busy = serving_me(broker)
            name, pid = next((n, p) for n, p in sorted(broker.worker_pids().items()) if n not in busy)
            cleaner = broker.children()["cleaner"]
            # A client of that worker: it waits, and is cut off in the end.
            while (mine := broker.connect()) and broker.worker_of(mine.local_port) != (name, pid):
                mine.ask(wire.API_VERSIONS, 0)
            mine.ask(wire.API_VERSIONS, 0)
            load.longest_s = 0
            stop(pid)
            stop(cleaner)
            begin = time.monotonic()
            eventually(lambda: broker.log().count("process was stopped") >= 2, what="the log says who was stopped")
            mine.send(wire.API_VERSIONS, 0)
            fresh = [broker.connect(timeout_s=2 * patience.factor()) for _ in range(20)]
            for connection in fresh:  # new clients are given to those who move
                connection.ask(wire.API_VERSIONS, 0)
            assert mine.is_closed(OTHERS_S + REST_S), "its client waits for ever"
            took = time.monotonic() - begin
            all_back(broker)
            load.wait(1000)
        note(f"{name} and the cleaner were replaced after {took:.1f} s; longest wait for an acknowledgement {load.longest_s * 1000:.0f} ms")
        assert took > OTHERS_S * 0.7, took
        for who in (name, "cleaner"):
            assert "its clients wait" in (killed(broker, who) or ""), who
        assert load.longest_s < OTHERS_S / 2, load.longest_s  # a busy machine's pauses are shorter, theirs would be longer
        equal({n: p for n, p in broker.worker_pids().items() if n != name}, {n: p for n, p in broker.first_workers.items() if n != name})
        judge(broker, load, True)


@case("the whole broker stopped and continued (Ctrl-Z): nobody dies of it; with the supervisor alone stopped the workers serve on", timeout_s=60)
def everybody():
    with Broker() as broker:
        create(broker, "t", 3)
        with Load(broker, "t", 3, IDEMPOTENT) as load:
            load.wait(1000)
            before = broker.children()
            os.kill(broker.pid, signal.SIGSTOP)
            load.wait(5000)
            for pid in before.values():
                stop(pid)
            time.sleep(3 * NEEDED_S)
            for pid in (broker.pid, *before.values()):
                go_on(pid)
            load.wait(3000)
            time.sleep(NEEDED_S)  # were anybody to be killed, it would be now
            equal(broker.children(), before)
        assert "killing it" not in broker.log(), "somebody was killed"
        judge(broker, load, True)


run_cases()
