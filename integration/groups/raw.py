"""Members and admins that say exactly what a test wants, in any version; codec.py has the bytes.

Everything that was said and answered is remembered, for a judge that nobody here wrote (judge/).
"""

import os
import shutil
import struct
import subprocess
import threading

import codec
from codec import COMMIT, DELETE, DESCRIBE, FETCH, HEARTBEAT, JOIN, LEAVE, LIST, OFFSET_DELETE, SYNC
from harness.cases import Skip, note
from harness.wire import API_VERSIONS, Connection

COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, LOADING = 15, 16, 14
UNKNOWN_TOPIC, METADATA_TOO_LARGE, ILLEGAL_GENERATION, INCONSISTENT, INVALID_GROUP, UNKNOWN_MEMBER = 3, 12, 22, 23, 24, 25
BAD_SESSION, REBALANCE, INVALID_REQUEST, TRANSACTIONS_DENIED, NON_EMPTY, NOT_FOUND = 26, 27, 42, 53, 68, 69
MEMBER_ID_REQUIRED, GROUP_FULL, FENCED, SUBSCRIBED, UNKNOWN_TOPIC_ID, STALE_EPOCH = 79, 81, 82, 86, 100, 113

exchanges = {}  # (key, version): [(request, answer)], bodies
remember_most = 50  # of each


def served(broker):
    """{key: (oldest, newest)} that the broker advertises."""
    with broker.connect() as wire:
        answer = wire.ask(API_VERSIONS, 0)
    count = struct.unpack_from(">i", answer, 2)[0]
    rows = (struct.unpack_from(">hhh", answer, 6 + 6 * i) for i in range(count))
    return {key: (oldest, newest) for key, oldest, newest in rows}


class Client:
    """A connection of its own; requests that wait want one each. The broker spreads connections over its workers."""

    def __init__(self, broker, timeout_s=15):
        self.wire = Connection(broker.port, timeout_s=timeout_s)

    def send(self, key, version, /, **values):
        """Say it, and do not wait."""
        flexible = version >= codec.FLEXIBLE[key]
        self.wire.send(key, version, (b"\0" if flexible else b"") + codec.encode(key, version, "request", values))

    def ask(self, key, version, /, **values):
        """One request and its answer, as a dictionary."""
        flexible = version >= codec.FLEXIBLE[key]
        request = codec.encode(key, version, "request", values)
        answer = self.wire.ask(key, version, (b"\0" if flexible else b"") + request)
        if flexible:
            assert answer[:1] == b"\0", "tagged fields in the header of an answer"
            answer = answer[1:]
        kept = exchanges.setdefault((key, version), [])
        if len(kept) < remember_most:
            kept.append((request, answer))
        return codec.decode(key, version, "response", answer)

    def answer(self, key, version):
        """The answer to what was sent last."""
        correlation, answer = self.wire.receive()
        assert correlation == self.wire.correlation, f"the answer to {correlation}, where that to {self.wire.correlation} was due"
        return codec.decode(key, version, "response", answer[1:] if version >= codec.FLEXIBLE[key] else answer)

    def close(self):
        self.wire.close()

    # --- in the words of tests -----------------------------------------------------------------------------------

    def join(self, group, member="", protocols=("range",), session=6000, rebalance=6000, instance=None, version=5,
             metadata=b"m", kind="consumer", **more):  # fmt: skip
        found = self.ask(
            JOIN, version, group_id=group, member_id=member, session_timeout_ms=session, rebalance_timeout_ms=rebalance,
            instance_id=instance, protocol_type=kind, protocols=[{"name": p, "metadata": metadata} for p in protocols], **more,
        )  # fmt: skip
        found["member"] = found.pop("member_id")
        found["members"] = [(m["member_id"], m.get("instance_id"), m["metadata"]) for m in found["members"]]
        return found

    def joined(self, group, **options):
        """Join for good: twice, where an id is given first."""
        first = self.join(group, **options)
        return self.join(group, **{**options, "member": first["member"]}) if first["error"] == MEMBER_ID_REQUIRED else first

    def sync(self, group, generation, member, assignments=(), instance=None, version=3, **more):
        if version >= 5:  # mandatory there
            more = {"protocol_type": "consumer", "protocol": "range", **more}
        found = self.ask(
            SYNC, version, group_id=group, generation=generation, member_id=member, instance_id=instance,
            assignments=[{"member_id": m, "assignment": a} for m, a in assignments], **more,
        )  # fmt: skip
        return found["error"], found["assignment"]

    def heartbeat(self, group, generation, member, instance=None, version=3):
        return self.ask(HEARTBEAT, version, group_id=group, generation=generation, member_id=member, instance_id=instance)["error"]

    def leave(self, group, member, version=2):
        return self.ask(LEAVE, version, group_id=group, member_id=member)["error"]

    def leave_all(self, group, *members, version=5):
        """(error, [error of each]); members are (member id, instance id)."""
        found = self.ask(LEAVE, version, group_id=group, members=[{"member_id": m, "instance_id": i} for m, i in members])
        assert [(m["member_id"], m["instance_id"]) for m in found["members"]] in (list(members), []), found
        return found["error"], [m["error"] for m in found["members"]]

    def commit(self, group, topic, offset, generation=-1, member="", metadata="", partition=0, retention=-1, version=2,
               topic_id=b"\0" * 16, **more):  # fmt: skip
        found = self.ask(
            COMMIT, version, group_id=group, generation=generation, member_id=member, retention_time_ms=retention, **more,
            topics=[{"name": topic, "topic_id": topic_id,
                     "partitions": [{"index": partition, "offset": offset, "metadata": metadata}]}],
        )  # fmt: skip
        ((topic_,),) = (found["topics"],)
        assert topic_.get("name", topic) == topic and topic_.get("topic_id", topic_id) == topic_id, found
        (one,) = topic_["partitions"]
        assert one["index"] == partition, found
        return one["error"]

    def committed(self, group, topic, partition=0, version=2):
        found = self.ask(FETCH, version, group_id=group, topics=[{"name": topic, "partitions": [partition]}])
        one = found["topics"][0]["partitions"][0]
        return one["offset"], one["metadata"], one["error"]

    def describe(self, *groups, version=0):
        return [
            (g["error"], g["group_id"], g["state"], g["protocol_type"], g["protocol"], [list(m.values()) for m in g["members"]])
            for g in self.ask(DESCRIBE, version, groups=list(groups))["groups"]
        ]

    def state(self, group):
        return self.describe(group)[0][2]

    def list(self, version=5, **filters):
        """{group: state}"""
        found = self.ask(LIST, version, **filters)
        assert found.get("error", 0) == 0, found
        return {g["group_id"]: g.get("state") for g in found["groups"]}

    def delete(self, *groups, version=0):
        return [(r["group_id"], r["error"]) for r in self.ask(DELETE, version, groups=list(groups))["results"]]

    def offset_delete(self, group, topic, partition=0):
        found = self.ask(OFFSET_DELETE, 0, group_id=group, topics=[{"name": topic, "partitions": [{"index": partition}]}])
        return found["error"], found["topics"][0]["partitions"][0]["error"] if found["topics"] else None


def in_background(function, *arguments, **options):
    """Call it in a thread; the function that is returned waits for the result."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function(*arguments, **options)), daemon=True)
    thread.start()

    def result():
        thread.join(20)
        assert found, "no answer"
        return found[0]

    result.done = lambda: bool(found)
    return result


def assemble(clients, group, **options):
    """One member at each client, all in one generation, nobody has synced yet: what they were answered, the leader first.
    The rebalance time-out must suffice."""
    first = clients[0].joined(group, **options)
    rest = [in_background(c.joined, group, **options) for c in clients[1:]]
    asks = clients[0]
    while len(clients) > 1:
        if asks.heartbeat(group, first["generation"], first["member"]) == REBALANCE:
            if len(asks.describe(group)[0][5]) == len(clients):
                first = asks.join(group, first["member"], **options)
                break
    found = [first] + [r() for r in rest]
    assert {f["error"] for f in found} == {0}, found
    assert len({f["generation"] for f in found}) == 1, found
    assert [len(f["members"]) for f in found] == [len(clients)] + [0] * len(rest), found
    return found


def subscription(*topics):
    """What consumers put into their metadata, version 0."""
    names = b"".join(struct.pack(">h", len(t)) + t.encode() for t in topics)
    return struct.pack(">hi", 0, len(topics)) + names + struct.pack(">i", -1)


def judge_exchanges():
    """franz-go's codec reads every message that was said or answered, and writes the same bytes."""
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "judge")
    if not shutil.which("go"):
        raise Skip("no go on this machine")
    try:
        subprocess.run(["go", "mod", "download"], cwd=here, capture_output=True, check=True, timeout=60)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        raise Skip("franz-go's kmsg, or the Go that it wants, could not be fetched") from None
    lines = [
        f"{key} {version} {way} {body.hex() or '-'}\n"
        for (key, version), kept in exchanges.items()
        for pair in kept
        for way, body in zip(("request", "response"), pair)
    ]
    done = subprocess.run(["go", "run", "."], cwd=here, input="".join(lines).encode(), capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()[-2000:]
    note(f"{len(lines)} messages of {len(exchanges)} versions of {len({key for key, _ in exchanges})} APIs")
