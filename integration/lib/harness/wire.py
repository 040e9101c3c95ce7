"""A few frames of the protocol by hand: enough to ask whether a broker answers, to park a fetch, and to be rude.

No client library, so that a test can hold one connection, know which worker serves it, and see it end.
"""

import socket
import struct

PRODUCE, FETCH, METADATA, API_VERSIONS = 0, 1, 3, 18


def string(text):
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def header(key, version, correlation, client="harness"):
    return struct.pack(">hhi", key, version, correlation) + string(client)


def metadata_body(*topics):
    """Metadata v1: no topics at all asks for none."""
    return struct.pack(">i", len(topics)) + b"".join(string(topic) for topic in topics)


def fetch_body(topic, offset=0, max_wait_ms=0, partition=0, min_bytes=1):
    """Fetch v11 of one partition, without a session."""
    return (
        struct.pack(">iiiibii", -1, max_wait_ms, min_bytes, 50 << 20, 0, 0, -1)
        + struct.pack(">i", 1)
        + string(topic)
        + struct.pack(">iiiqqi", 1, partition, -1, offset, -1, 1 << 20)
        + struct.pack(">i", 0)
        + string("")
    )


def fetched(answer):
    """(error, high watermark, records) of the one partition in an answer to Fetch v11."""
    error, _session, topics = struct.unpack_from(">hii", answer, 4)
    if error or topics != 1:
        return error, -1, b""
    at = 14
    at += 2 + struct.unpack_from(">h", answer, at)[0] + 4  # topic name, count of partitions
    _index, error, high_watermark, _stable, _start, aborted = struct.unpack_from(">ihqqqi", answer, at)
    at += 34 + 16 * max(aborted, 0) + 4
    size = struct.unpack_from(">i", answer, at)[0]
    return error, high_watermark, answer[at + 4 : at + 4 + max(size, 0)]


def fetch4_body(topic):
    """Fetch v4 of partition 0 from its start, as kafka-python and rskafka ask."""
    head = struct.pack(">iiiib", -1, 0, 1, 50 << 20, 0)
    return head + struct.pack(">i", 1) + string(topic) + struct.pack(">iiqi", 1, 0, 0, 1 << 20)


def fetched4(answer):
    """(error, records) of the one partition in an answer to Fetch v4."""
    at = 8
    at += 2 + struct.unpack_from(">h", answer, at)[0] + 4  # topic name, count of partitions
    _index, error, _high_watermark, _stable, aborted = struct.unpack_from(">ihqqi", answer, at)
    at += 26 + 16 * max(aborted, 0)
    size = struct.unpack_from(">i", answer, at)[0]
    return error, answer[at + 4 : at + 4 + max(size, 0)]


def codecs(records):
    """The codec (0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd) of each whole record batch."""
    found, at = [], 0
    while at + 23 <= len(records):
        size = struct.unpack_from(">i", records, at + 8)[0] + 12
        found.append(struct.unpack_from(">h", records, at + 21)[0] & 7)
        at += size
    return found


class Connection:
    """One connection. Every wait is bounded by timeout_s."""

    def __init__(self, port, host="127.0.0.1", timeout_s=10):
        self.socket = socket.create_connection((host, port), timeout=timeout_s)
        self.correlation = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def local_port(self):
        return self.socket.getsockname()[1]

    def close(self):
        self.socket.close()

    def send(self, key, version, body=b""):
        """Send a request and return its correlation id."""
        self.correlation += 1
        request = header(key, version, self.correlation) + body
        self.socket.sendall(struct.pack(">i", len(request)) + request)
        return self.correlation

    def _read(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise EOFError("the broker closed the connection")
            data += part
        return data

    def receive(self):
        """(correlation id, body) of the next answer. EOFError: the broker closed."""
        size = struct.unpack(">i", self._read(4))[0]
        answer = self._read(size)
        return struct.unpack(">i", answer[:4])[0], answer[4:]

    def ask(self, key, version, body=b""):
        """One request and its answer."""
        correlation = self.send(key, version, body)
        answered, answer = self.receive()
        if answered != correlation:
            raise AssertionError(f"answer to request {answered} where that to {correlation} was due")
        return answer

    def is_closed(self, timeout_s):
        """True if the broker closes within the time; what it still sends is thrown away."""
        self.socket.settimeout(timeout_s)
        try:
            while self.socket.recv(65536):
                pass
            return True
        except socket.timeout:
            return False
        except ConnectionError:
            return True


def answers(port, host="127.0.0.1", timeout_s=2):
    """True if somebody at the port answers ApiVersions v0 without an error."""
    try:
        with Connection(port, host, timeout_s) as connection:
            return connection.ask(API_VERSIONS, 0)[:2] == b"\0\0"
    except (OSError, EOFError, struct.error):
        return False


def brokers(metadata_v1):
    """[(node id, host, port)] of a Metadata v1 answer."""
    count = struct.unpack_from(">i", metadata_v1)[0]
    found, at = [], 4
    for _ in range(count):
        node, length = struct.unpack_from(">ih", metadata_v1, at)
        host = metadata_v1[at + 6 : at + 6 + length].decode()
        at += 6 + length
        port, rack = struct.unpack_from(">ih", metadata_v1, at)
        at += 6 + max(rack, 0)
        found.append((node, host, port))
    return found
