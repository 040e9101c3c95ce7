"""Records what passes between clients and a broker, and writes it as a capture that any tool can read.

No privileges are needed: a relay on loopback keeps every chunk with its time and connection, and packets are made of
them afterwards, for whatever link and with whatever mishaps a test wants.
"""

import select
import socket
import struct
import threading
import time

CLIENT, BROKER = 0, 1
BROKER_PORT = 9092  # in the captures, whatever port the broker really has

SYN, ACK, FIN = 2, 16, 1


def frame(content):
    """With its size in front."""
    return struct.pack(">i", len(content)) + content


class Relay:
    """Passes everything on to the broker, unchanged, and remembers it: chunks of (time, connection, sender, bytes)."""

    def __init__(self, broker_port):
        self.broker_port = broker_port
        self.chunks = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.threads = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        number = 0
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            number += 1
            thread = threading.Thread(target=self._serve, args=(client, number), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, client, number):
        broker = socket.create_connection(("127.0.0.1", self.broker_port))
        ends = {client: (CLIENT, broker), broker: (BROKER, client)}
        open_ends = set(ends)
        while open_ends:
            for end in select.select(list(open_ends), [], [])[0]:
                sender, other = ends[end]
                try:
                    data = end.recv(65536)
                    if data:
                        with self.lock:
                            self.chunks.append((time.time(), number, sender, data))
                        other.sendall(data)
                        continue
                    other.shutdown(socket.SHUT_WR)
                except OSError:
                    open_ends = set()
                    break
                open_ends.discard(end)
        client.close()
        broker.close()

    def close(self):
        self.listener.close()
        for thread in self.threads:
            thread.join(5)


def segments(chunks, mss=1400):
    """TCP segments (time, connection, sender, sequence number, flags, bytes) with hand-shakes and farewells."""
    next_number, seen, last = {}, set(), {}
    for when, connection, sender, data in chunks:
        if connection not in seen:
            seen.add(connection)
            for side, flags in ((CLIENT, SYN), (BROKER, SYN | ACK)):
                begin = (0xFFFFFF00 + 1000 * connection + side) % 2**32  # so that numbers wrap
                yield when, connection, side, begin, flags, b""
                next_number[connection, side] = (begin + 1) % 2**32
        for at in range(0, len(data), mss):
            part = data[at : at + mss]
            yield when, connection, sender, next_number[connection, sender], ACK, part
            next_number[connection, sender] = (next_number[connection, sender] + len(part)) % 2**32
        last[connection] = when
    for (connection, sender), number in next_number.items():
        yield last[connection], connection, sender, number, FIN | ACK, b""


def _checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(segment, version=4):
    """An IP packet."""
    _, connection, sender, number, flags, data = segment
    ports = (40000 + connection, BROKER_PORT)
    if sender == BROKER:
        ports = ports[::-1]
    tcp = struct.pack(">HHIIBBHHH", *ports, number, 0, 0x50, flags, 65535, 0, 0) + data
    hosts = (b"\x0a\0\0\1", b"\x0a\0\0\2") if version == 4 else (b"\xfd" + b"\0" * 14 + b"\1", b"\xfd" + b"\0" * 14 + b"\2")
    if sender == BROKER:
        hosts = hosts[::-1]
    if version == 6:
        pseudo = hosts[0] + hosts[1] + struct.pack(">II", len(tcp), 6)
        tcp = tcp[:16] + struct.pack(">H", _checksum(pseudo + tcp)) + tcp[18:]
        return struct.pack(">IHBB", 6 << 28, len(tcp), 6, 64) + hosts[0] + hosts[1] + tcp
    pseudo = hosts[0] + hosts[1] + struct.pack(">HH", 6, len(tcp))
    tcp = tcp[:16] + struct.pack(">H", _checksum(pseudo + tcp)) + tcp[18:]
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), connection, 0, 64, 6, 0) + hosts[0] + hosts[1]
    return head[:10] + struct.pack(">H", _checksum(head)) + head[12:] + tcp


def _ether_type(ip):
    return b"\x08\0" if ip[0] >> 4 == 4 else b"\x86\xdd"


LINKS = {
    "Ethernet": (1, lambda ip: b"\2" * 12 + _ether_type(ip) + ip),
    "Ethernet, VLAN": (1, lambda ip: b"\2" * 12 + b"\x81\0\0\7" + _ether_type(ip) + ip),
    "Linux cooked": (113, lambda ip: b"\0\0\0\1\0\6" + b"\2" * 8 + _ether_type(ip) + ip),
    "Linux cooked 2": (276, lambda ip: _ether_type(ip) + b"\0\0\0\0\0\1\0\1\0\6" + b"\2" * 8 + ip),
    "null": (0, lambda ip: struct.pack("<I", 2 if ip[0] >> 4 == 4 else 24) + ip),
    "loop": (108, lambda ip: struct.pack(">I", 2 if ip[0] >> 4 == 4 else 24) + ip),
    "raw": (101, lambda ip: ip),
}


def write(path, all_segments, link="Ethernet", version=4):
    """A pcap file."""
    number, wrap = LINKS[link]
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, number))
        for segment in all_segments:
            data = wrap(packet(segment, version))
            seconds = int(segment[0])
            file.write(struct.pack("<IIII", seconds, int((segment[0] - seconds) * 1e6), len(data), len(data)))
            file.write(data)
