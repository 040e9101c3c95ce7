"""What anybody was ever told about groups, and whether that can all be true. Every method is called in the order of events.

A seat is a place in a group: a static member's instance id, else the member id. (As in Kafka, a member id is the client id
or the instance id, a dash and 22 more characters.) Values committed are never used twice.
"""

import collections
import json


class Violation(AssertionError):
    pass


def check(truth, what):
    if not truth:
        raise Violation(what)


def seat_of(member):
    return member[:-23] if member[:-23].startswith("i") else member


class Generation:
    def __init__(self):
        self.leader = self.protocol = self.nonce = None
        self.given = {}  # seat: the bytes of its assignment
        self.owner = {}  # partition: seat


class Commit:
    """done: when it was answered; None: never, so it may be in force from any time on."""

    def __init__(self, began):
        self.began, self.done, self.refused = began, None, False


class Group:
    def __init__(self, name):
        self.name = name
        self.top = 0  # the latest generation of which anybody was told
        self.generations = collections.defaultdict(Generation)
        self.members = {}  # ids that were told to those who bear them: when
        self.said = collections.defaultdict(set)  # seat: metadata that it ever brought along
        self.gone = {}  # member id: why it is nobody any more
        self.commits = collections.defaultdict(dict)  # partition: {value: Commit}
        self.newest = {}  # partition: (the newest value that was read, when that was known)
        self.reading = set()  # when reads that are under way began
        self.time = 0

    def now(self):
        self.time += 1
        return self.time

    # --- membership -----------------------------------------------------------------------------------------------

    def joined(self, began, top_before, member, instance, answer):
        """began, top_before: self.now() and self.top as the request was sent. Answers overtake each other, so only of what was
        told before is it known that it came before."""
        at, seat = answer["generation"], instance or member
        check(seat == seat_of(member), f"{self.name}: the id {member} for {seat}")
        check(at >= top_before, f"{self.name}: generation {at} after {top_before}")
        check(member not in self.gone, f"{self.name}: {member} joins, though it {self.gone.get(member)}")
        if instance:
            for other, told in self.members.items():
                if seat_of(other) == seat and other != member and told < began:
                    self.gone[other] = "was replaced by another of its instance"
        self.top = max(self.top, at)
        self.members.setdefault(member, self.now())
        g = self.generations[at]
        leader = seat_of(answer["leader"])
        check(g.leader in (None, leader), f"{self.name}: generation {at} is led by {g.leader} and by {leader}")
        check(g.protocol in (None, answer["protocol"]), f"{self.name}: two protocols in generation {at}")
        g.leader, g.protocol = leader, answer["protocol"]
        if answer["leader"] == member:
            self._list(member, answer["members"])
        else:
            check(not answer["members"], f"{self.name}: a follower was given the list of members")

    def _list(self, leader, members):
        ids = [m["member_id"] for m in members]
        check(leader in ids and len(set(ids)) == len(ids), f"{self.name}: {leader} leads {ids}")
        for m in members:
            seat = seat_of(m["member_id"])
            check(m.get("instance_id") in (None, seat), f"{self.name}: {m}")
            # Newcomers that have not been answered yet are known by their bytes alone.
            check(m["metadata"] in self.said[seat] | self.said[None], f"{self.name}: {m['member_id']} never said {m['metadata']}")

    def synced(self, at, member, assignment):
        g, seat = self.generations[at], seat_of(member)
        check(g.given.get(seat, assignment) == assignment, f"{self.name}: {seat} has {g.given.get(seat)} and {assignment} in {at}")
        g.given[seat] = assignment
        if not assignment:
            return
        said = json.loads(assignment)
        check(said["generation"] == at, f"{self.name}: an assignment of {said['generation']} in {at}")
        check(g.nonce in (None, said["nonce"]), f"{self.name}: two leaders' assignments in generation {at}")
        g.nonce = said["nonce"]
        for partition in said["partitions"]:
            check(g.owner.get(partition, seat) == seat, f"{self.name}: {partition} in {at} is {g.owner.get(partition)}'s and {seat}'s")
            g.owner[partition] = seat

    def described(self, assignments):
        """Of the members of a stable group, as somebody else sees it: all of one generation, nothing twice."""
        said = [json.loads(a) for a in assignments if a]
        check(len({(s["generation"], s["nonce"]) for s in said}) <= 1, f"{self.name}: described with {said}")
        partitions = [p for s in said for p in s["partitions"]]
        check(len(partitions) == len(set(partitions)), f"{self.name}: described with {said}")

    def lost(self, member, why):
        if member:
            self.gone.setdefault(member, why)

    # --- offsets --------------------------------------------------------------------------------------------------

    def stale(self, member, at):
        """Why a commit of this member and generation must be refused, as far as is known now; None: it may be taken."""
        if member in self.gone:
            return f"{member} {self.gone[member]}"
        return f"generation {at} is over, {self.top} was told" if at < self.top else None

    def commit_begins(self, partition, value):
        self.commits[partition][value] = Commit(self.now())

    def commit_ends(self, partition, value, error, stale):
        """stale: what stale() said when it was sent. None for an error: it may have been taken or not, and may still be."""
        check(error != 0 or not stale, f"{self.name}: a commit was taken although {stale}")
        commit = self.commits[partition][value]
        if error is None:
            return
        commit.refused, commit.done = bool(error), self.now()

    def read_begins(self):
        began = self.now()
        self.reading.add(began)
        return began

    def read_ends(self, began):
        self.reading.discard(began)

    def read(self, partition, began, value):
        """An OffsetFetch that began then gave this value; -1: none."""
        commits = self.commits[partition]
        before = [c for c in commits.values() if not c.refused and c.done and c.done < began]
        newest, known = self.newest.get(partition, (None, began))
        if value < 0:
            check(not before, f"{self.name}: {partition} has no offset, though commits were acknowledged")
            check(known >= began, f"{self.name}: {partition} has lost {newest}")
            return
        check(value in commits, f"{self.name}: {partition} has {value}, which nobody committed, or long ago")
        source = commits[value]
        check(not source.refused, f"{self.name}: {partition} has {value}, which was refused")
        if source.done:
            later = [v for v, c in commits.items() if c in before and c.began > source.done]
            check(not later, f"{self.name}: {partition} has {value}, though {later} was acknowledged after it")
            if known < began:
                check(commits[newest].began < source.done, f"{self.name}: {partition} went back from {newest} to {value}")
        if newest not in commits or not source.done or commits[newest].began < source.done:
            self.newest[partition] = value, self.now()
        if self.reading <= {began}:
            for old in [v for v, c in commits.items() if c.done and c.done < source.began]:
                del commits[old]
