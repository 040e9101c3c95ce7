"""A consumer that says exactly what a test wants in its fetches, in any version from 7 on."""

import struct

import codec
import raw

FETCH, METADATA = 1, 3
UNKNOWN_TOPIC, OUT_OF_RANGE, NOT_FOUND, WRONG_EPOCH, UNKNOWN_ID, MIXED = 3, 1, 70, 71, 100, 106
NEW, NONE = 0, -1  # epochs

for key, name, flexible, request, response in (
    (FETCH, "Fetch", 12, """
        replica_id int32 0-14 = -1; max_wait_ms int32; min_bytes int32 = 1; max_bytes int32 = 1000000; isolation_level int8 = 0
        session_id int32 7+; session_epoch int32 7+
        topics [ topic string 0-12; topic_id uuid 13+
            partitions [ partition int32; current_leader_epoch int32 9+ = -1; fetch_offset int64
                last_fetched_epoch int32 12+ = -1; log_start_offset int64 5+ = -1; partition_max_bytes int32 = 100000 ] ]
        forgotten 7+ [ topic string 7-12; topic_id uuid 13+; partitions int32* ]
        rack_id string 11+ = ''""", """
        throttle_time_ms int32; error int16 7+; session_id int32 7+
        topics [ topic string 0-12; topic_id uuid 13+
            partitions [ index int32; error int16; high_watermark int64; last_stable int64; log_start int64 5+
                aborted? [ producer_id int64; first_offset int64 ]; preferred int32 11+; records bytes? ] ]"""),
    (METADATA, "Metadata", 9, """
        topics? [ topic_id uuid 10+; name string? ]; auto_create bool; authorized bool 8+""", """
        throttle_time_ms int32; brokers [ node int32; host string; port int32; rack string? ]; cluster string?; controller int32
        topics [ error int16; name string?; topic_id uuid 10+; internal bool
            partitions [ error int16; index int32; leader int32; epoch int32; replicas int32*; isr int32*; offline int32* ]
            operations int32 ]"""),
):  # fmt: skip
    codec.NAMES[key], codec.FLEXIBLE[key] = name, flexible
    codec.SCHEMAS[key, "request"], codec.SCHEMAS[key, "response"] = codec._schema(request), codec._schema(response)


def offset_behind(records):
    """Of the record behind the last whole batch."""
    at, found = 0, None
    while at + 61 <= len(records):
        base, size = struct.unpack_from(">qi", records, at)
        if at + 12 + size > len(records):
            break
        found = base + struct.unpack_from(">i", records, at + 23)[0] + 1
        at += 12 + size
    return found


class Fetcher:
    """A connection, and a session in it, if it was given one."""

    def __init__(self, broker, version=11):
        self.client, self.version = raw.Client(broker, timeout_s=40), version
        self.id, self.epoch, self.ids, self.names = 0, NEW, {}, {}

    def learn(self, *topics):
        """Their ids."""
        wanted = [{"topic_id": b"\0" * 16, "name": t} for t in topics]
        for t in self.client.ask(METADATA, 12, topics=wanted, auto_create=False, authorized=False)["topics"]:
            assert t["error"] == 0, t
            self.ids[t["name"]], self.names[t["topic_id"]] = t["topic_id"], t["name"]

    def _topic(self, name):
        if self.version < 13:
            return {"topic": name}
        if name not in self.ids:
            self.learn(name)
        return {"topic_id": self.ids[name]}

    def request(self, want=None, forget=(), id=None, epoch=None, wait=0, **more):
        by_topic, gone = {}, {}
        for (topic, partition), offset in (want or {}).items():
            by_topic.setdefault(topic, []).append({"partition": partition, "fetch_offset": offset})
        for topic, partition in forget:
            gone.setdefault(topic, []).append(partition)
        return dict(
            session_id=self.id if id is None else id, session_epoch=self.epoch if epoch is None else epoch, max_wait_ms=wait,
            topics=[{**self._topic(t), "partitions": p} for t, p in by_topic.items()],
            forgotten=[{**self._topic(t), "partitions": p} for t, p in gone.items()], **more,
        )  # fmt: skip

    def ask(self, *arguments, **options):
        """(error, session id, {(topic, partition): what is told})"""
        return self.understand(self.client.ask(FETCH, self.version, **self.request(*arguments, **options)))

    def understand(self, found):
        told = {}
        for t in found["topics"]:
            name = t["topic"] if self.version < 13 else self.names[t["topic_id"]]
            for p in t["partitions"]:
                assert (name, p["index"]) not in told, "told twice"
                told[name, p["index"]] = p
        return found["error"], found["session_id"], told

    def fetch(self, *arguments, **options):
        """The next one of the session; what it tells."""
        error, id_, told = self.ask(*arguments, **options)
        assert error == 0 and id_ != 0 and id_ == (self.id or id_), (error, id_, self.id)
        self.id, self.epoch = id_, self.epoch + 1
        return told

    def send(self, *arguments, **options):
        """The next one, whose answer is received later."""
        self.client.send(FETCH, self.version, **self.request(*arguments, **options))
        self.epoch += 1

    def receive(self):
        """(error, session id, what is told)"""
        return self.understand(self.client.answer(FETCH, self.version))

    def close(self):
        self.client.close()
