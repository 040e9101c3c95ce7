"""A storm: under producers, groups and administration the broker's processes die, at random moments and at every named
point of the code (faults.py). All that was acknowledged is accounted for afterwards, and whoever is served by a process that
lives must not notice.

    make chaos                           ten minutes of storms, each with a broker of its own
    STORM_SECONDS=3600 STORM_SEED=7 ...  longer; the seeds are printed
    STORM_DEATHS=200 ...                 so many deaths in each storm of random kills
"""

import collections
import os
import random
import re
import signal
import struct
import subprocess
import sys
import time

from churn import Churn
from faults import Faults, program
from harness import patience, procs, wire
from harness.broker import Broker
from harness.cases import case, equal, eventually, note, run_cases
from load import Load, all_back, create, judge
from members import Ledger, Member, Witness, check_ledgers, goes_on, reads_all, stable

SEED = int(os.environ.get("STORM_SEED") or time.time_ns() % 1_000_000)
DEATHS = int(os.environ.get("STORM_DEATHS") or 18)
SECONDS = int(os.environ.get("STORM_SECONDS") or 0)
PAUSE_S = 0.0003  # between two messages: clients written in Python have to read them all, twice
DEATHS_OF_ONE = 3  # then the whole broker is started anew, lest its successors come later and later

OPTIONS = ["-o", "log.retention.check.interval.ms=200"]

# Who passes these points only at certain times.
BIRTHS = re.compile(r"child\.|worker\.(started|opened|ready)|coordinator\.loads|supervisor\.(forked|reaped)|prepare\.")
ENDS = re.compile(r"finish\.|supervisor\.(drains|finishes)|worker\.drains")
RECOVERIES = re.compile(r"recovery\.")
RARE = re.compile(r"clean\.|topic\.|group\.")  # when administration gets that far
WITH_A_LOCK = ("turn.written", "checkpoint.pinned", "checkpoint.synced")  # or so needed as if they had one
EXPIRIES = re.compile(r"clean\.producers")


# --- who must not notice -----------------------------------------------------------------------------------------


class Bystanders:
    """Of each worker two connections: one asks now and then, at the other a fetch waits for ever."""

    def __init__(self, broker):
        self.broker, self.talk, self.wait = broker, {}, {}  # by pid of the worker

    def settle(self):
        """Each worker has its two. Connections go to the worker that has fewest, so others are opened, too, and closed."""
        extra, deadline = [], time.monotonic() + 20 * patience.factor()
        while missing := set(self.broker.worker_pids().values()) - set(self.wait):
            assert time.monotonic() < deadline, f"no connection comes to {missing}"
            try:
                connection = self.broker.connect()
                connection.ask(wire.API_VERSIONS, 0)
            except (OSError, EOFError):
                continue
            worker = self.broker.worker_of(connection.local_port)
            pid = worker[1] if worker else None
            if pid in missing and pid not in self.talk:
                self.talk[pid] = connection
            elif pid in missing:
                connection.send(wire.FETCH, 11, wire.fetch_body("empty", 0, max_wait_ms=3_600_000))
                self.wait[pid] = connection
            else:
                extra.append(connection)
        for connection in extra:
            connection.close()

    def check(self):
        """Those whose worker lives are undisturbed; those of the dead are closed, and forgotten."""
        alive = set(self.broker.worker_pids().values())
        for pid in list(self.talk):
            if pid in alive:
                self.talk[pid].ask(wire.API_VERSIONS, 0)
                continue
            for connection in (self.talk.pop(pid), self.wait.pop(pid, None)):
                assert not connection or connection.is_closed(5), f"a connection of {pid}, who is dead, stays open"
        for pid, connection in self.wait.items():
            connection.socket.setblocking(False)
            try:
                said = connection.socket.recv(1)
            except BlockingIOError:
                continue
            raise AssertionError(f"a fetch that waits at {pid} was {'answered' if said else 'closed'} as another died")


# --- deaths ------------------------------------------------------------------------------------------------------


class Storm:
    def __init__(self, broker, chance, faults=None):
        self.broker, self.chance, self.faults = broker, chance, faults
        self.deaths, self.young, self.killed = 0, collections.Counter(), collections.Counter()
        self.bystanders = Bystanders(broker)

    # --- kinds of death ------------------------------------------------------------------------------------------

    def shoot(self, *kinds):
        """SIGKILL for a child of these kinds, or of any."""
        children = [c for c in sorted(self.broker.children().items()) if not kinds or c[0].startswith(kinds)]
        if children:
            self.kill(*self.chance.choice(children))

    def kill(self, name, pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.died(name, pid)

    def shoot_all(self):
        for name, pid in self.broker.children().items():
            self.kill(name, pid)

    def shoot_the_broker(self):
        pid = self.broker.pid
        self.broker.kill()
        self.died("supervisor", pid)

    def died(self, name, pid):
        eventually(lambda: not procs.alive(pid), what=f"{name}, killed, is dead", pause_s=0.0005)
        self.deaths += 1
        self.killed[name] += 1
        self.young[name] += 1

    def die_at(self, point):
        """Somebody dies at the point, at its next passing or one of the next."""
        often = 0 if RARE.match(point) else self.faults.passed(point) // max(1, self.deaths)
        children = {pid: name for name, pid in self.broker.children().items()}
        self.faults.aim(point, self.chance.randint(1, 1 + min(often // 4, 30)))
        begin = time.monotonic()
        while not (pid := self.faults.hit(point)):
            assert time.monotonic() - begin < 60 * patience.factor(), f"nobody passes {point}, with {self.churn.deleted} deletions"
            self.provoke(point)
            deadline = time.monotonic() + 0.5
            while not self.faults.hit(point) and time.monotonic() < deadline:
                time.sleep(0.001)
        self.died("supervisor" if pid == self.broker.pid else children.get(pid, "newborn"), pid)
        if ENDS.match(point):
            self.broker.process.wait(10 * patience.factor())

    def freeze(self):
        """SIGSTOP for a moment: nobody dies of that, nor is anybody disturbed."""
        pid = self.chance.choice(sorted(self.broker.children().values()))
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.5 * self.chance.random())
        os.kill(pid, signal.SIGCONT)

    def freeze_at(self, point):
        """Somebody stands still there, for whom all wait: the supervisor kills it after a second (broker/watch.h)."""
        children = {pid: name for name, pid in self.broker.children().items()}
        self.faults.aim(point, self.chance.randint(1, 5), signal.SIGSTOP)
        pid = eventually(lambda: self.faults.hit(point), what=f"somebody passes {point}")
        eventually(lambda: not procs.alive(pid), 4, f"who stood still at {point} is killed")
        self.died(children[pid], pid)

    def provoke(self, point):
        """Something that makes a process pass there."""
        if BIRTHS.match(point):
            self.shoot("checkpointer" if point.startswith("prepare") else "worker")
        elif ENDS.match(point):
            self.broker.process.send_signal(signal.SIGTERM)
        elif point.startswith("handoff") and not wire.answers(self.broker.port):
            self.rise()
        elif point == "group.saved":
            self.swap_member()

    # --- and life --------------------------------------------------------------------------------------------------

    def rise(self):
        """The whole broker again, if it is gone, or on its way."""
        if self.broker.process.poll() is None:
            return
        self.broker.start()
        self.young.clear()

    def recover(self):
        """All are there again, and bystanders are as they were."""
        self.rise()
        all_back(self.broker)
        self.bystanders.check()
        if max(self.young.values(), default=0) >= DEATHS_OF_ONE:
            self.shoot_the_broker()
            self.rise()
            self.bystanders.check()
        self.bystanders.settle()

    # --- under load ------------------------------------------------------------------------------------------------

    def begin(self):
        broker = self.broker
        for topic, partitions in {"t": 4, "u": 2, "one": 1, "empty": 1}.items():
            create(broker, topic, partitions)
        self.ledgers = [Ledger("eager"), Ledger("cooperative")]
        self.strategies = dict(zip((l.name for l in self.ledgers), ("range", "cooperative-sticky")))
        self.members = {l.name: [Member(broker, l, i, self.strategies[l.name]) for i in range(3)] for l in self.ledgers}
        self.newcomer = 3
        self.witness = Witness(broker, self.ledgers)
        self.churn = Churn(broker, self.chance.random())
        self.loads = [
            Load(broker, "t", 4, {"enable.idempotence": True}, pause_s=PAUSE_S),
            Load(broker, "u", 2, {"acks": "all"}, pause_s=PAUSE_S),
            Load(broker, "one", 1, {"acks": "1"}, pause_s=PAUSE_S),
        ]
        for load in self.loads:
            load.__enter__()
        for ledger in self.ledgers:
            eventually(lambda l=ledger: stable(broker, l, 3), 20, f"{ledger.name} is stable at first", 0.05)
        self.bystanders.settle()

    def swap_member(self):
        """One comes, one goes."""
        ledger = self.chance.choice(self.ledgers)
        self.members[ledger.name].append(Member(self.broker, ledger, self.newcomer, self.strategies[ledger.name]))
        self.newcomer += 1
        self.members[ledger.name].pop(0).stop()

    def strike(self, event, *arguments):
        """A death, and life goes on: everybody is there again, is served, and gets on."""
        event(*arguments)
        self.recover()
        for load in self.loads:
            load.wait(50)
        goes_on(self.chance.choice(self.ledgers), 50)

    def calm(self):
        """The clients come to rest; then all accounts must be right."""
        for load in self.loads:
            load.__exit__()
        begin = time.monotonic()
        for ledger in self.ledgers:
            eventually(lambda l=ledger: stable(self.broker, l, 3), 30, f"{ledger.name} is stable", 0.05)
        took_s = time.monotonic() - begin
        for ledger in self.ledgers:
            reads_all(ledger, self.loads[:2])
        self.churn.stop()
        self.witness.stop()
        for group in self.members.values():
            for member in group:
                member.stop()
        self.account()
        acknowledged = sum(len(load.acknowledged) for load in self.loads)
        note(f"{self.deaths} deaths: " + ", ".join(f"{n} {name}" for name, n in sorted(self.killed.items())))
        note(
            f"{acknowledged} records acknowledged, {self.churn.created} topics created, {self.churn.deleted} deleted; groups"
            f" were stable {took_s:.1f} s after it; longest wait for an acknowledgement {max(l.longest_s for l in self.loads):.1f} s"
        )

    def account(self):
        """Nothing is lost, doubled, in another order, or back."""
        judge(self.broker, self.loads[0], True)
        judge(self.broker, self.loads[1], False)
        judge(self.broker, self.loads[2], False)
        check_ledgers(self.broker, self.ledgers)
        self.churn.check()
        self.shoot("worker")  # without the lock, of which the next owner would free its slot
        all_back(self.broker)
        eventually(lambda: not self.dead_readers(), 15, "no dead process has a reader's slot", 0.1)

    def dead_readers(self):
        """Pids in the store's table of readers that nobody has any more: what they read could not be freed."""
        shown = subprocess.run(["mdb_stat", "-r", self.broker.data], capture_output=True, text=True, check=False).stdout
        # Its exit status says nothing: it is that of the list that it prints.
        pids = {int(pid) for pid in re.findall(r"^ *(\d+) +[0-9a-f]+ ", shown, re.MULTILINE)}
        assert pids & set(self.broker.children().values()), shown
        return {pid for pid in pids if not procs.alive(pid)}


# --- storms ------------------------------------------------------------------------------------------------------


def storm_title(kind, seed):
    return f"a storm: {kind} (STORM_SEED={seed})"


def random_deaths(seed):
    """Any process, at any moment; twice the whole broker, once with another number of workers."""
    chance = random.Random(seed)
    with Broker(options=OPTIONS).expect_deaths() as broker:
        storm = Storm(broker, chance)
        storm.begin()
        while storm.deaths < DEATHS:
            time.sleep(chance.random() * 0.1)
            if storm.killed["supervisor"] < 2 * storm.deaths // DEATHS:
                broker.workers = chance.randint(2, 5)
                storm.strike(storm.shoot_the_broker)
            elif chance.random() < 0.1:
                storm.strike(storm.shoot_all)
            elif chance.random() < 0.1:
                storm.strike(storm.freeze)
            else:
                storm.strike(storm.shoot)
            if chance.random() < 0.25:
                storm.swap_member()
        storm.calm()


def deaths_at_points(seed):
    """One death at each named point, in any order, and kills in between; at some of them one that only stands still."""
    chance, faults = random.Random(seed), Faults()
    broker = Broker(options=OPTIONS, program=program(), environment=faults.environment()).expect_deaths()
    with broker:
        storm = Storm(broker, chance, faults)
        storm.begin()
        later = [p for p in sorted(faults.rows()) if RECOVERIES.match(p) or EXPIRIES.match(p)]
        points = [p for p in sorted(faults.rows()) if p not in later]
        chance.shuffle(points)
        for point in points:
            storm.strike(storm.die_at, point)
            if point in WITH_A_LOCK:
                storm.strike(storm.freeze_at, point)
            if chance.random() < 0.2:
                storm.strike(storm.shoot)
        storm.calm()
        for point in later:
            after_a_power_cut(storm, point) if RECOVERIES.match(point) else while_producers_expire(storm, point)
            storm.account()
        never = [point for point in faults.rows() if not faults.passed(point)]
        equal(never, [], "points that nobody passed")
        note(f"{len(points) + len(later)} points: " + " ".join(sorted(points + later)))
    faults.remove()


def while_producers_expire(storm, point):
    """With producers that are forgotten at once the cleaner has some to delete."""
    storm.broker.stop()
    storm.broker.options += ["-o", "producer.id.expiration.ms=1"]
    storm.broker.start()
    storm.die_at(point)
    storm.recover()


def after_a_power_cut(storm, point):
    """The broker starts in another boot of the machine, as it thinks, and its checkpointer dies as it restores."""
    storm.broker.kill()
    another_boot(os.path.join(storm.broker.data, "ckpt"))
    storm.faults.aim(point, 1)
    storm.broker.start()
    assert storm.faults.hit(point), f"nobody passed {point}"
    storm.bystanders.check()
    storm.bystanders.settle()


def another_boot(path):
    """The side file (storage/ckptfile.h) as if it had been written before the machine started last."""
    with open(path, "r+b") as file:
        for at in (0, 12288):
            file.seek(at)
            slot = bytearray(file.read(128 + 2 * 4096))
            if slot[:8] != b"FORKACKP":
                continue
            slot[36:72] = b"00000000-0000-0000-0000-000000000000"
            slot[124:128] = b"\0\0\0\0"
            slot[124:128] = struct.pack(">I", crc32c(slot))
            file.seek(at)
            file.write(slot)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@case(storm_title(f"{DEATHS} deaths at random moments", SEED), timeout_s=60 + 3 * DEATHS)
def at_random():
    random_deaths(SEED)


@case(storm_title("a death at every named point of the code", SEED), timeout_s=240)
def at_points():
    deaths_at_points(SEED)


def for_long():
    """Pair after pair, each in a process and with a seed of its own, and so to be had again. Returns how many failed."""
    seed, failed, end = SEED, 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        environment = {**os.environ, "STORM_SECONDS": "0", "STORM_SEED": str(seed)}
        failed += subprocess.run([sys.executable, __file__], env=environment).returncode != 0
        seed += 1
    note(f"{seed - SEED} pairs of storms, {failed} of them failed")
    return failed


if SECONDS:
    sys.exit(1 if for_long() else 0)
run_cases()
