"""Random sequences: members that do anything at any time, processes that die, and a ledger that must add up.

    SEQUENCE_SEED=7 SEQUENCE_SECONDS=300 ...    another run, a longer one; the seed is printed

Looked for (docs/testing.md has the list): a partition with two owners in one generation, a generation that goes back, a
commit taken from who is no member or of an old generation, an offset that regresses without a commit, a leader without
its members, a request that is neither answered nor cut off. At the end everybody behaves: each group must be stable
within its time-outs, with every partition owned, and take commits.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import struct
import time

import codec
import raw
from codec import COMMIT, DESCRIBE, FETCH, HEARTBEAT, JOIN, LEAVE, SYNC
from harness import patience
from harness.broker import Broker
from harness.cases import case, note, run_cases
from harness.wire import header, string
from ledger import Group, Violation, check
from raw import FENCED, ILLEGAL_GENERATION, MEMBER_ID_REQUIRED, REBALANCE, UNKNOWN_MEMBER

SECONDS = float(os.environ.get("SEQUENCE_SECONDS") or 10)
SEED = int(os.environ.get("SEQUENCE_SEED") or time.time_ns() % 1_000_000)
WILDNESS = (0.1, 0.25, 0.5, 1.0)  # of the members of each group
PLAYERS, PARTITIONS, TOPIC = 6, 6, "t"
SESSION_MS, REBALANCE_MS = int(400 * patience.factor()), int(500 * patience.factor())
CALM_SESSION_MS = int(10_000 * patience.factor())  # that no pause of this machine ends
ANSWER_S = 4 * patience.factor()  # a rebalance, a worker that stands still, one that is started again: two seconds at most
ASK_AGAIN = {raw.LOADING, raw.COORDINATOR_NOT_AVAILABLE, raw.NOT_COORDINATOR}


class Cut(Exception):
    """The connection has ended; what was under way may or may not have happened."""


class Link:
    """A connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer, self.number = reader, writer, 0

    @classmethod
    async def open(cls, port):
        try:
            return cls(*await asyncio.open_connection("127.0.0.1", port))
        except OSError:
            raise Cut from None

    async def send(self, key, version, values):
        self.number += 1
        flexible = version >= codec.FLEXIBLE[key]
        request = header(key, version, self.number, "player") + (b"\0" if flexible else b"")
        request += codec.encode(key, version, "request", values)
        try:
            self.writer.write(struct.pack(">i", len(request)) + request)
            await self.writer.drain()
        except OSError:
            raise Cut from None

    async def ask(self, key, version, **values):
        await self.send(key, version, values)
        try:
            async with asyncio.timeout(ANSWER_S):
                size = struct.unpack(">i", await self.reader.readexactly(4))[0]
                answer = await self.reader.readexactly(size)
        except TimeoutError:  # (which is an OSError, too)
            raise Violation(f"{codec.NAMES[key]} v{version} {values} was not answered within {ANSWER_S:.0f} s") from None
        except (OSError, asyncio.IncompleteReadError):
            raise Cut from None
        check(struct.unpack_from(">i", answer)[0] == self.number, "another request's answer")
        return codec.decode(key, version, "response", answer[5 if version >= codec.FLEXIBLE[key] else 4 :])

    def close(self):
        self.writer.transport.abort()


class Player:
    """One client of a group, with random habits; it behaves while the game is calm."""

    def __init__(self, game, group, number, wildness):
        self.game, self.group, self.chance = game, group, game.chance
        self.name, self.wildness = f"p{number}", wildness
        self.ledger = game.ledgers[group]
        self.link, self.instance, self.is_calm = None, None, False
        self.old = []  # (member, generation) that have been
        self.begin_anew()

    def begin_anew(self):
        """As another client, which knows nothing of the one before."""
        self.forget()
        self.member = ""
        self.version = self.chance.randint(2, 9)
        self.instance = None
        if self.version >= 5 and self.chance.random() < 0.4:
            self.instance = f"i{self.chance.randint(0, 1)}"
        self.change_metadata()

    def change_metadata(self):
        self.metadata = f"{self.name}-{self.game.unique()}".encode()
        self.protocols = self.chance.choice((["range"], ["range", "sticky"], ["sticky", "range"]))

    def forget(self):
        """The generation is over for us."""
        self.generation, self.is_synced, self.mine, self.members = None, False, None, None

    def likely(self, probability):
        return not self.game.calm and self.chance.random() < probability * self.wildness

    def cut(self):
        if self.link:
            self.link.close()
        self.link = None

    async def play(self):
        while not self.game.over:
            try:
                if not self.link:
                    self.link = await Link.open(self.game.broker.port)
                await self.step()
            except Cut:
                self.cut()
                await asyncio.sleep(0.005)
        self.cut()

    async def step(self):
        if self.generation is None:
            await self.join()
        elif not self.is_synced:
            await self.sync()
        else:
            await self.live()

    async def refused(self, error):
        """Do what clients do about it."""
        if error in ASK_AGAIN:
            await asyncio.sleep(0.005)
            return
        if error in (REBALANCE, ILLEGAL_GENERATION):
            self.forget()
            return
        check(error in (UNKNOWN_MEMBER, FENCED), f"error {error}")
        self.ledger.lost(self.member, "was told that it is unknown" if error == UNKNOWN_MEMBER else "was told that it is fenced")
        self.remember()
        if error == FENCED:
            self.begin_anew()
            self.instance = None
        self.member = ""
        self.forget()

    def remember(self):
        if self.member and self.generation:
            self.old = [*self.old[-3:], (self.member, self.generation)]

    async def ask_twice(self, key, version, values):
        """Sometimes on two connections at once, of which each must be answered; which one counts?"""
        if not self.member or not self.likely(0.05):
            return await self.link.ask(key, version, **values)
        other = await Link.open(self.game.broker.port)
        try:
            both = await asyncio.gather(self.link.ask(key, version, **values), other.ask(key, version, **values), return_exceptions=True)
        finally:
            other.close()
        for found in both:
            if isinstance(found, Exception):
                raise found
        self.game.count("asked twice")
        return min(both, key=lambda found: found["error"])

    # --- into a generation ----------------------------------------------------------------------------------------

    async def join(self):
        for key in (self.instance or self.member or None, None):
            self.ledger.said[key].add(self.metadata)
        values = {
            "group_id": self.group, "member_id": self.member, "instance_id": self.instance, "protocol_type": "consumer",
            "session_timeout_ms": CALM_SESSION_MS if self.game.calm else SESSION_MS, "rebalance_timeout_ms": REBALANCE_MS,
            "protocols": [{"name": p, "metadata": self.metadata} for p in self.protocols],
        }  # fmt: skip
        if self.likely(0.03):  # and gone, before the answer
            await self.link.send(JOIN, self.version, values)
            await asyncio.sleep(self.chance.random() * 0.02)
            raise Cut
        before = self.ledger.now(), self.ledger.top
        answer = await self.ask_twice(JOIN, self.version, values)
        self.game.count("joins")
        if answer["error"] == MEMBER_ID_REQUIRED:
            self.member = answer["member_id"]
            if self.likely(0.05):
                self.begin_anew()
        elif answer["error"]:
            await self.refused(answer["error"])
        else:
            self.take_seat(before, answer)

    def take_seat(self, before, answer):
        self.member = answer["member_id"]
        self.ledger.said[self.instance or self.member].add(self.metadata)
        self.ledger.joined(*before, self.member, self.instance, answer)
        self.generation, self.is_synced = answer["generation"], False
        leads = answer["leader"] == self.member and not answer.get("skip_assignment")
        self.members = [m["member_id"] for m in answer["members"]] if leads else None
        self.protocol = answer["protocol"]

    def assign(self):
        """Every partition to somebody; not always to everybody."""
        members = list(self.members)
        if self.likely(0.1):
            members.append("stranger")
        shares = {m: [] for m in members}
        for partition in range(PARTITIONS):
            shares[self.chance.choice(members)].append(partition)
        if self.likely(0.1):
            shares.pop(self.chance.choice(members))
        nonce = self.game.unique()
        return [
            {"member_id": m, "assignment": json.dumps({"generation": self.generation, "nonce": nonce, "partitions": p}).encode()}
            for m, p in shares.items()
        ]

    async def sync(self, again=False):
        version = self.chance.randint(3 if self.instance else 1, 5)
        values = {
            "group_id": self.group, "generation": self.generation, "member_id": self.member, "instance_id": self.instance,
            "assignments": self.assign() if self.members else [],
        }  # fmt: skip
        if version >= 5:
            values.update(protocol_type="consumer", protocol=self.protocol)
        if not again and self.likely(0.06):
            await self.instead_of_sync(version, values)
            return
        answer = await self.ask_twice(SYNC, version, values)
        self.game.count("syncs")
        if answer["error"]:
            await self.refused(answer["error"])
            return
        self.ledger.synced(self.generation, self.member, answer["assignment"])
        self.is_synced, self.mine = True, answer["assignment"]

    async def instead_of_sync(self, version, values):
        what = self.chance.choice(("send and cut", "nothing", "sleep", "join"))
        if what == "send and cut":
            await self.link.send(SYNC, version, values)
            raise Cut
        if what == "nothing":
            self.remember()
            self.begin_anew()
            raise Cut
        if what == "sleep":
            await asyncio.sleep(self.chance.random() * REBALANCE_MS / 700)
            return
        self.forget()

    # --- in a generation ------------------------------------------------------------------------------------------

    async def live(self):
        await asyncio.sleep(self.chance.random() * 0.02)
        if self.game.calm and not self.is_calm:
            self.is_calm = True
            await self.rejoin()
            return
        deeds = (
            (40, self.heartbeat), (30, self.commit), (12, self.read), (6, self.stale_commit), (4, self.sync_again),
            (3, self.leave), (4, self.hang_up), (2, self.rejoin), (1, self.sleep), (1, self.vanish),
        )  # fmt: skip
        wildness = 0 if self.game.calm else self.wildness
        weights = [w * (1 if i < 3 else wildness) for i, (w, _) in enumerate(deeds)]
        await self.chance.choices([d for _, d in deeds], weights)[0]()

    async def heartbeat(self):
        answer = await self.link.ask(
            HEARTBEAT, self.chance.randint(3 if self.instance else 1, 4), group_id=self.group, generation=self.generation,
            member_id=self.member, instance_id=self.instance,
        )  # fmt: skip
        self.game.count("heartbeats")
        if answer["error"]:
            await self.refused(answer["error"])

    async def commit(self, member=None, generation=None, instance=None):
        """As oneself, unless somebody else is named."""
        oneself = member is None
        if oneself:
            member, generation, instance = self.member, self.generation, self.instance
        partition, value = self.chance.randrange(PARTITIONS), self.game.unique()
        stale = self.ledger.stale(member, generation)
        self.ledger.commit_begins(partition, value)
        answer = await self.link.ask(
            COMMIT, self.chance.randint(7 if instance else 2, 9), group_id=self.group, generation=generation, member_id=member,
            instance_id=instance, topics=[{"name": TOPIC, "partitions": [{"index": partition, "offset": value}]}],
        )  # fmt: skip
        error = answer["topics"][0]["partitions"][0]["error"]
        self.ledger.commit_ends(partition, value, None if error in ASK_AGAIN else error, stale)
        self.game.count("commits" if not error else "refused commits")
        if oneself and error:
            await self.refused(error)
        return error

    async def stale_commit(self):
        """As who we were; or in a generation that is over, or far from having come."""
        if self.old and self.chance.random() < 0.6:
            await self.commit(*self.chance.choice(self.old))
        else:
            error = await self.commit(self.member, self.generation + self.chance.choice((-1, 1000)), self.instance)
            check(error, "a commit in another generation was taken")

    async def read(self):
        began = self.ledger.read_begins()
        try:
            await self.read_some(began, self.chance.sample(range(PARTITIONS), 3), self.chance.randint(1, 9))
        finally:
            self.ledger.read_ends(began)

    async def read_some(self, began, wanted, version):
        topics = [{"name": TOPIC, "partitions": wanted}]
        values = {"topics": topics, "group_id": self.group} if version < 8 else {"groups": [{"group_id": self.group, "topics": topics}]}
        answer = await self.link.ask(FETCH, version, **values)
        found = answer["groups"][0] if version >= 8 else answer
        self.game.count("reads")
        if found.get("error"):
            check(found["error"] in ASK_AGAIN, f"OffsetFetch: error {found['error']}")
            return
        for p in found["topics"][0]["partitions"]:
            check(p["error"] == 0, f"OffsetFetch: {p}")
            self.ledger.read(p["index"], began, p["offset"])

    async def sync_again(self):
        await self.sync(again=True)

    async def leave(self):
        found = await self.link.ask(
            LEAVE, self.chance.randint(3, 5), group_id=self.group,
            members=[{"member_id": self.member, "instance_id": self.instance}],
        )  # fmt: skip
        error = found["error"] or found["members"][0]["error"]
        self.game.count("leaves")
        if error in ASK_AGAIN:
            return
        check(error in (0, UNKNOWN_MEMBER, FENCED), f"LeaveGroup: error {error}")
        self.ledger.lost(self.member, "has left")
        self.remember()
        self.begin_anew()

    async def hang_up(self):
        """Cut the connection, perhaps with a request under way."""
        if self.chance.random() < 0.5:
            await self.link.send(HEARTBEAT, 4, {"group_id": self.group, "generation": self.generation, "member_id": self.member})
        raise Cut

    async def rejoin(self):
        self.change_metadata()
        self.forget()

    async def sleep(self):
        """Longer than the session, perhaps."""
        await asyncio.sleep(self.chance.random() * SESSION_MS / 500)

    async def vanish(self):
        self.remember()
        self.begin_anew()
        raise Cut


class Game:
    def __init__(self, broker, seed):
        self.broker, self.chance = broker, random.Random(seed)
        self.ledgers = {f"g{i}": Group(f"g{i}") for i in range(len(WILDNESS))}
        self.calm = self.over = False
        self.counts, self.last = {}, 0
        self.kills = {}  # process: how often, since the broker started
        self.players = [Player(self, g, i, wild) for g, wild in zip(self.ledgers, WILDNESS) for i in range(PLAYERS)]

    def unique(self):
        self.last += 1
        return self.last

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    # --- deaths ---------------------------------------------------------------------------------------------------

    async def kill(self):
        """Until the game is calm."""
        while not self.calm:
            await asyncio.sleep(0.05 + self.chance.random() * 0.5)
            what = self.chance.choices(("worker", "all workers", "checkpointer", "cleaner", "stop", "restart"), (50, 5, 10, 5, 15, 15))[0]
            children = self.broker.children()
            workers = {n: p for n, p in children.items() if n.startswith("worker-") and self.kills.get(n, 0) < 3}
            if what == "restart" or not workers:
                await self.restart()
            elif what == "worker":
                self.shoot(self.chance.choice(sorted(workers)), children)
            elif what == "all workers":
                for name in workers:
                    self.shoot(name, children)
            elif what == "stop":
                await self.stop_for_a_while(self.chance.choice(sorted(workers)), children)
            elif what in children and self.kills.get(what, 0) < 3:
                self.shoot(what, children)

    def shoot(self, name, children):
        """Who dies too often is started again after ever longer pauses, which are not what is looked at here."""
        self.kills[name] = self.kills.get(name, 0) + 1
        self.count("kills")
        with contextlib.suppress(ProcessLookupError):
            os.kill(children[name], signal.SIGKILL)

    async def stop_for_a_while(self, name, children):
        self.count("stops")
        with contextlib.suppress(ProcessLookupError):
            os.kill(children[name], signal.SIGSTOP)
            await asyncio.sleep(self.chance.random() * 0.4)
            os.kill(children[name], self.chance.choice((signal.SIGCONT, signal.SIGCONT, signal.SIGKILL)))

    async def restart(self):
        """The whole broker, with as many workers as it likes; killed, or stopped in good order."""
        self.count("restarts")
        if self.chance.random() < 0.5:
            self.broker.kill()
        else:
            self.broker.process.terminate()
            async with asyncio.timeout(10 * patience.factor()):
                while self.broker.process.poll() is None:
                    await asyncio.sleep(0.005)
            check(self.broker.process.returncode == 0, f"the broker ended with status {self.broker.process.returncode}")
        self.broker.workers = self.chance.randint(1, 4)
        self.broker.start()
        self.kills = {}

    # --- somebody who only looks ----------------------------------------------------------------------------------

    async def watch(self):
        link = None
        while not self.over:
            await asyncio.sleep(0.05)
            try:
                link = link or await Link.open(self.broker.port)
                for g in (await link.ask(DESCRIBE, 5, groups=list(self.ledgers)))["groups"]:
                    self.look(g)
            except Cut:
                link = None

    def look(self, g):
        if g["error"]:
            check(g["error"] in ASK_AGAIN, f"DescribeGroups: error {g['error']}")
            return
        self.count(g["state"])
        if g["state"] == "Stable":
            self.ledgers[g["group_id"]].described([m["assignment"] for m in g["members"]])

    # --- the end --------------------------------------------------------------------------------------------------

    def settled(self, group):
        """All its players are at peace and in its latest generation, and each partition is somebody's."""
        players = [p for p in self.players if p.group == group]
        ledger = self.ledgers[group]
        if not all(p.is_calm for p in players) or {p.generation for p in players} != {ledger.top} or not all(p.is_synced for p in players):
            return False
        mine = [i for p in players for i in (json.loads(p.mine)["partitions"] if p.mine else ())]
        return sorted(mine) == list(range(PARTITIONS))

    async def settle(self):
        """Everybody behaves. Members that nobody plays any more have to be missed first."""
        self.calm = True
        begin = time.monotonic()
        limit_s = (SESSION_MS + 2 * REBALANCE_MS) / 1000 + 4 * patience.factor()
        while not all(self.settled(group) for group in self.ledgers):
            if time.monotonic() - begin > limit_s:
                raise Violation(f"not settled within {limit_s:.1f} s: {self.picture()}")
            await asyncio.sleep(0.01)
        took = time.monotonic() - begin
        before = {group: ledger.top for group, ledger in self.ledgers.items()}
        counted = self.counts.get("commits", 0)
        await asyncio.sleep(0.5 * patience.factor())
        check(before == {group: ledger.top for group, ledger in self.ledgers.items()}, "a rebalance without a reason")
        check(self.counts["commits"] > counted, "no commit after the end")
        return took

    def picture(self):
        return {g: (l.top, [(p.member[-6:], p.generation, p.is_synced) for p in self.players if p.group == g]) for g, l in self.ledgers.items()}

    async def run(self, seconds):
        tasks = [asyncio.create_task(p.play()) for p in self.players] + [asyncio.create_task(self.watch())]
        deaths = asyncio.create_task(self.kill())
        try:
            done, _ = await asyncio.wait([*tasks, deaths], timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
            self.calm = True
            await deaths
            settle = asyncio.create_task(self.settle())
            await asyncio.wait([settle, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in [t for t in tasks if t.done()]:
                task.result()
            took = await settle
        finally:
            self.over = self.calm = True
            for task in [*tasks, deaths]:
                task.cancel()
            await asyncio.gather(*tasks, deaths, return_exceptions=True)
        return took


@case(f"random members and deaths for {SECONDS:.0f} s (SEQUENCE_SEED={SEED}): what was told adds up, and groups settle", timeout_s=SECONDS * 2 + 60)
def random_sequences():
    # Members that wait for each other's time-outs would learn little in ten seconds; newcomers come at once.
    with Broker(options=["-o", "group.min.session.timeout.ms=100", "-o", f"num.partitions={PARTITIONS}"]).expect_deaths() as broker:
        with broker.connect() as wire:
            wire.ask(3, 1, struct.pack(">i", 1) + string(TOPIC))
        game = Game(broker, SEED)
        took = asyncio.run(game.run(SECONDS))
        note(", ".join(f"{n} {what}" for what, n in game.counts.items()))
        note(f"generations {', '.join(str(l.top) for l in game.ledgers.values())}; settled after {took * 1000:.0f} ms")
        assert game.counts["commits"] > 100 and game.counts["kills"] > 3, game.counts
        client = raw.Client(broker)
        for group, ledger in game.ledgers.items():
            for partition in range(PARTITIONS):
                ledger.read(partition, ledger.read_begins(), client.committed(group, TOPIC, partition)[0])


if __name__ == "__main__":
    run_cases()
