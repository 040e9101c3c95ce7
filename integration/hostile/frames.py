"""Requests and record batches by hand, so that every field of them can be wrong."""

import struct
import time

NOW_MS = int(time.time() * 1000)
PRODUCE, FETCH, LIST_OFFSETS, METADATA, API_VERSIONS = 0, 1, 2, 3, 18
CREATE_TOPICS, DELETE_TOPICS, INIT_PRODUCER_ID = 19, 20, 22

NONE, OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE, UNKNOWN_TOPIC_OR_PARTITION, MESSAGE_TOO_LARGE = 0, 1, 2, 3, 10
INVALID_TOPIC_EXCEPTION, INVALID_REQUIRED_ACKS, UNSUPPORTED_VERSION = 17, 21, 35
INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR, INVALID_REQUEST, POLICY_VIOLATION = 37, 38, 42, 44
UNSUPPORTED_FOR_MESSAGE_FORMAT, OUT_OF_ORDER_SEQUENCE_NUMBER = 43, 45
KAFKA_STORAGE_ERROR = 56
FETCH_SESSION_ID_NOT_FOUND, UNSUPPORTED_COMPRESSION_TYPE, INVALID_RECORD = 70, 76, 87


# --- pieces -----------------------------------------------------------------------------------------------------


def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack(">h", len(data)) + data


def data(value):
    return struct.pack(">i", len(value)) + value


def array(*items):
    return struct.pack(">i", len(items)) + b"".join(items)


def uvarint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def varint(n):
    return uvarint((n << 1) ^ (n >> 63) if n >= 0 else ((-n) << 1) - 1)


def header(key, version, correlation=1, client="hostile", flexible=False):
    head = struct.pack(">hhi", key, version, correlation) + string(client)
    return head + b"\0" if flexible else head


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


# --- record batches ---------------------------------------------------------------------------------------------


def _crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ 0x82F63B78 if n & 1 else n >> 1
        table.append(n)
    return table


_TABLE = _crc_table()


def crc32c(buffer):
    crc, table = 0xFFFFFFFF, _TABLE
    for byte in buffer:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def record(offset_delta=0, key=b"key", value=b"value", headers=b"\0", size=None, key_size=None, value_size=None):
    """One record; the sizes can be told other than they are."""
    body = b"\0" + varint(0) + varint(offset_delta)
    for part, told in ((key, key_size), (value, value_size)):
        body += varint(-1 if part is None else len(part)) if told is None else varint(told)
        body += part or b""
    body += headers
    return varint(len(body) if size is None else size) + body


def batch(
    records=None,
    count=None,
    attributes=0,
    last_delta=None,
    magic=2,
    length=None,
    crc=None,
    producer=(-1, -1, -1),
    timestamps=(NOW_MS, NOW_MS),
    base_offset=0,
):
    """A record batch, right unless told otherwise."""
    records = [record()] if records is None else records
    payload = records if isinstance(records, bytes) else b"".join(records)
    count = (1 if isinstance(records, bytes) else len(records)) if count is None else count
    last_delta = count - 1 if last_delta is None else last_delta
    tail = struct.pack(">hiqqqhii", attributes, last_delta, *timestamps, *producer, count) + payload
    length = 9 + len(tail) if length is None else length
    crc = crc32c(tail) if crc is None else crc
    return struct.pack(">qiibI", base_offset, length, -1, magic, crc) + tail


def old_message(magic, value=b"value"):
    """A message set of the formats before 0.11."""
    import zlib

    body = struct.pack(">bb", magic, 0) + (struct.pack(">q", NOW_MS) if magic else b"")
    body += data(b"key") + data(value)
    body = struct.pack(">I", zlib.crc32(body)) + body
    return struct.pack(">qi", 0, len(body)) + body


# --- requests ---------------------------------------------------------------------------------------------------


def produce_body(topic, records, acks=-1, partition=0, transactional=None):
    """Produce v3 to v8. records None: null."""
    head = struct.pack(">h", -1) if transactional is None else string(transactional)
    records = struct.pack(">i", -1) if records is None else data(records)
    return head + struct.pack(">hi", acks, 10_000) + array(string(topic) + array(struct.pack(">i", partition) + records))


def produced(answer):
    """(error, base offset) of the one partition in an answer to Produce v3 to v8."""
    at = 4
    at += 2 + struct.unpack_from(">h", answer, at)[0] + 4
    _, error, offset = struct.unpack_from(">ihq", answer, at)
    return error, offset


def fetch_body(topic, offset=0, wait_ms=0, partition=0, partition_bytes=1 << 20, min_bytes=1, session=(0, -1)):
    """Fetch v7 to v10, without topics to forget."""
    part = struct.pack(">iqqi", partition, offset, -1, partition_bytes)
    head = struct.pack(">iiiibii", -1, wait_ms, min_bytes, 50 << 20, 0, *session)
    return head + array(string(topic) + array(part)) + array()


def fetch9_body(topic, offset=0, **more):
    """Fetch v9 and v10: with the leader's epoch."""
    old = fetch_body(topic, offset, **more)
    head, rest = old[: len(old) - 28], old[len(old) - 28 :]  # partition 24, forgotten 4
    return head + rest[:4] + struct.pack(">i", -1) + rest[4:]


def fetched(answer):
    """(top error, error, high watermark, records) of the one partition in an answer to Fetch v7 to v10."""
    top, _, topics = struct.unpack_from(">hii", answer, 4)
    if topics == 0:
        return top, None, None, b""
    at = 14
    at += 2 + struct.unpack_from(">h", answer, at)[0] + 4
    _, error, high, _, _, aborted = struct.unpack_from(">ihqqqi", answer, at)
    at += 34 + 16 * max(aborted, 0)
    size = struct.unpack_from(">i", answer, at)[0]
    return top, error, high, answer[at + 4 : at + 4 + max(size, 0)]


def offsets_body(topic, time=-1, partition=0):
    """ListOffsets v1."""
    return struct.pack(">i", -1) + array(string(topic) + array(struct.pack(">iq", partition, time)))


def offset_of(answer):
    """(error, offset) of the one partition in an answer to ListOffsets v1."""
    at = 4
    at += 2 + struct.unpack_from(">h", answer, at)[0] + 4
    _, error, _, offset = struct.unpack_from(">ihqq", answer, at)
    return error, offset


def create_body(*names, partitions=1, replicas=1):
    """CreateTopics v2 to v4."""
    topics = [string(name) + struct.pack(">ih", partitions, replicas) + array() + array() for name in names]
    return array(*topics) + struct.pack(">i", 10_000) + b"\0"


def created(answer):
    """The errors, topic by topic, in an answer to CreateTopics v2 to v4."""
    count = struct.unpack_from(">i", answer, 4)[0]
    at, errors = 8, []
    for _ in range(count):
        at += 2 + struct.unpack_from(">h", answer, at)[0]
        error, text = struct.unpack_from(">hh", answer, at)
        at += 4 + max(text, 0)
        errors.append(error)
    return errors
