"""The messages about groups, written down again from Kafka's own definitions: our broker's codec is not asked here.

    body = encode(11, 9, "request", {"group_id": "g", ...})        left out fields: Kafka's defaults
    answer = decode(11, 9, "response", body)                       a dictionary; ValueError: bytes are left or missing

Bodies are without the header. A field is "name type [versions] [= default]"; a type in brackets is a list, "?" may be null.
"""

import re
import struct

NAMES = {
    8: "OffsetCommit", 9: "OffsetFetch", 10: "FindCoordinator", 11: "JoinGroup", 12: "Heartbeat", 13: "LeaveGroup",
    14: "SyncGroup", 15: "DescribeGroups", 16: "ListGroups", 42: "DeleteGroups", 47: "OffsetDelete",
}  # fmt: skip
COMMIT, FETCH, FIND, JOIN, HEARTBEAT, LEAVE, SYNC, DESCRIBE, LIST, DELETE, OFFSET_DELETE = NAMES
FLEXIBLE = {8: 8, 9: 6, 10: 3, 11: 6, 12: 4, 13: 4, 14: 4, 15: 5, 16: 3, 42: 2, 47: 99}

DEFINITIONS = {
    (8, "request"): """
        group_id string; generation int32 = -1; member_id string; instance_id string? 7+; retention_time_ms int64 2-4 = -1
        topics [ name string 0-9; topic_id uuid 10+
            partitions [ index int32; offset int64; leader_epoch int32 6+ = -1; metadata string? = '' ] ]""",
    (8, "response"): """
        throttle_time_ms int32 3+
        topics [ name string 0-9; topic_id uuid 10+; partitions [ index int32; error int16 ] ]""",
    (9, "request"): """
        group_id string 0-7; topics? 0-7 [ name string; partitions int32* ]
        groups 8+ [ group_id string; member_id string? 9+; member_epoch int32 9+ = -1
            topics? [ name string 8-9; topic_id uuid 10+; partitions int32* ] ]
        require_stable bool 7+""",
    (9, "response"): """
        throttle_time_ms int32 3+
        topics 0-7 [ name string
            partitions [ index int32; offset int64; leader_epoch int32 5+ = -1; metadata string?; error int16 ] ]
        error int16 2-7
        groups 8+ [ group_id string
            topics [ name string 8-9; topic_id uuid 10+
                partitions [ index int32; offset int64; leader_epoch int32 = -1; metadata string?; error int16 ] ]
            error int16 ]""",
    (10, "request"): "key string 0-3; key_type int8 1+; coordinator_keys string* 4+",
    (10, "response"): """
        throttle_time_ms int32 1+; error int16 0-3; error_message string? 1-3; node_id int32 0-3; host string 0-3
        port int32 0-3
        coordinators 4+ [ key string; node_id int32; host string; port int32; error int16; error_message string? ]""",
    (11, "request"): """
        group_id string; session_timeout_ms int32 = 6000; rebalance_timeout_ms int32 1+ = 6000; member_id string
        instance_id string? 5+; protocol_type string; protocols [ name string; metadata bytes ]; reason string? 8+""",
    (11, "response"): """
        throttle_time_ms int32 2+; error int16; generation int32; protocol_type string? 7+
        protocol string 0-6; protocol string? 7+; leader string; skip_assignment bool 9+; member_id string
        members [ member_id string; instance_id string? 5+; metadata bytes ]""",
    (12, "request"): "group_id string; generation int32; member_id string; instance_id string? 3+",
    (12, "response"): "throttle_time_ms int32 1+; error int16",
    (13, "request"): """
        group_id string; member_id string 0-2
        members 3+ [ member_id string; instance_id string?; reason string? 5+ ]""",
    (13, "response"): """
        throttle_time_ms int32 1+; error int16; members 3+ [ member_id string; instance_id string?; error int16 ]""",
    (14, "request"): """
        group_id string; generation int32; member_id string; instance_id string? 3+; protocol_type string? 5+
        protocol string? 5+; assignments [ member_id string; assignment bytes ]""",
    (14, "response"): """
        throttle_time_ms int32 1+; error int16; protocol_type string? 5+; protocol string? 5+; assignment bytes""",
    (15, "request"): "groups string*; include_authorized_operations bool 3+",
    (15, "response"): """
        throttle_time_ms int32 1+
        groups [ error int16; error_message string? 6+; group_id string; state string; protocol_type string; protocol string
            members [ member_id string; instance_id string? 4+; client_id string; client_host string; metadata bytes
                assignment bytes ]
            authorized_operations int32 3+ ]""",
    (16, "request"): "states_filter string* 4+; types_filter string* 5+",
    (16, "response"): """
        throttle_time_ms int32 1+; error int16
        groups [ group_id string; protocol_type string; state string 4+; type string 5+ ]""",
    (42, "request"): "groups string*",
    (42, "response"): "throttle_time_ms int32; results [ group_id string; error int16 ]",
    (47, "request"): "group_id string; topics [ name string; partitions [ index int32 ] ]",
    (47, "response"): """
        error int16; throttle_time_ms int32; topics [ name string; partitions [ index int32; error int16 ] ]""",
}

FIXED = {"int8": "b", "int16": "h", "int32": "i", "int64": "q", "bool": "?"}
EMPTY = {"string": "", "bytes": b"", "uuid": b"\0" * 16, "bool": False}


class Field:
    def __init__(self, words, fields=None):
        self.name, self.fields, self.default = words.pop(0), fields, None
        self.nullable = self.name.endswith("?")
        self.name = self.name.rstrip("?")
        self.type = "struct" if fields is not None else words.pop(0)
        self.many = fields is not None or self.type.endswith("*")
        self.nullable = self.nullable or self.type.endswith("?")
        self.type = self.type.rstrip("?*")
        if "=" in words:
            self.default = eval(words[words.index("=") + 1])  # pylint: disable=eval-used  # of the text above
            words = words[: words.index("=")]
        elif not self.nullable:
            self.default = [] if self.many else EMPTY.get(self.type, 0)
        first, _, last = (words[0] if words else "0+").partition("-")
        self.versions = range(int(first.rstrip("+")), int(last) + 1 if last else (1000 if "+" in first else int(first) + 1))


def _parse(words):
    """The fields up to the closing bracket, or the end."""
    fields, current = [], []

    def flush():
        if current:
            fields.append(Field(list(current)))
            current.clear()

    while words and (word := words.pop(0)) != "]":
        if word == "[":
            fields.append(Field(list(current), _parse(words)))
            current.clear()
        elif word == ";":
            flush()
        else:
            current.append(word)
    flush()
    return fields


def _schema(text):
    text = re.sub(r"\n\s*", " ; ", text.strip()).replace("[ ;", "[")
    return _parse(re.findall(r"[\[\];]|[^\s\[\];]+", text))


SCHEMAS = {key: _schema(text) for key, text in DEFINITIONS.items()}


def _uvarint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def _size(n, flexible, form):
    """Of a string, of bytes or of a list; None: null."""
    if flexible:
        return _uvarint(0 if n is None else n + 1)
    return struct.pack(form, -1 if n is None else n)


def _put_one(kind, value, flexible):
    if kind in FIXED:
        return struct.pack(">" + FIXED[kind], value)
    if kind == "uuid":
        return value
    data = value.encode() if isinstance(value, str) else value
    form = ">h" if kind == "string" else ">i"
    return _size(None if data is None else len(data), flexible, form) + (data or b"")


def _put(fields, version, flexible, values):
    out, known = b"", set()
    for f in fields:
        known.add(f.name)
        if version not in f.versions:
            continue
        value = values.get(f.name, f.default)
        if not f.many:
            out += _put_one(f.type, value, flexible)
            continue
        out += _size(None if value is None else len(value), flexible, ">i")
        for one in value or ():
            out += _put(f.fields, version, flexible, one) if f.fields else _put_one(f.type, one, flexible)
    if set(values) - known:
        raise ValueError(f"no such field: {set(values) - known}")
    return out + (b"\0" if flexible else b"")  # no tagged fields


def encode(key, version, way, values):
    return _put(SCHEMAS[key, way], version, version >= FLEXIBLE[key], values)


class Reader:
    def __init__(self, data, flexible):
        self.data, self.at, self.flexible = data, 0, flexible

    def take(self, form):
        try:
            value = struct.unpack_from(">" + form, self.data, self.at)[0]
        except struct.error as error:
            raise ValueError(f"{error} at {self.at}") from None
        self.at += struct.calcsize(">" + form)
        return value

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.take("B")
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def size(self, form):
        n = self.uvarint() - 1 if self.flexible else self.take(form)
        return None if n < 0 else n

    def run(self, n):
        self.at += n
        if self.at > len(self.data):
            raise ValueError(f"{self.at - len(self.data)} bytes are missing")
        return self.data[self.at - n : self.at]

    def one(self, field):
        if field.type in FIXED:
            return self.take(FIXED[field.type])
        if field.type == "uuid":
            return self.run(16)
        n = self.size("h" if field.type == "string" else "i")
        if n is None:
            if not (field.nullable and not field.many):
                raise ValueError(f"{field.name} is null")
            return None
        return self.run(n).decode() if field.type == "string" else self.run(n)

    def struct(self, fields, version):
        found = {}
        for f in fields:
            if version not in f.versions:
                continue
            if not f.many:
                found[f.name] = self.one(f)
                continue
            n = self.size("i")
            if n is None and not f.nullable:
                raise ValueError(f"{f.name} is null")
            found[f.name] = None if n is None else [
                self.struct(f.fields, version) if f.fields else self.one(f) for _ in range(n)
            ]
        if self.flexible and self.uvarint():
            raise ValueError("tagged fields, where there are none")
        return found


def decode(key, version, way, data):
    reader = Reader(data, version >= FLEXIBLE[key])
    found = reader.struct(SCHEMAS[key, way], version)
    if reader.at != len(data):
        raise ValueError(f"{NAMES[key]} v{version} {way}: {len(data) - reader.at} bytes are left")
    return found
