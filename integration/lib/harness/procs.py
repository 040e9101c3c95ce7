"""Processes and sockets as /proc shows them: who are the broker's workers, and which of them serves this connection."""

import os
import signal
import socket
import struct


def alive(pid):
    """True unless the process is gone or a zombie."""
    try:
        return _stat(pid)[0] != "Z"
    except (OSError, IndexError):
        return False


def _stat(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def name(pid):
    """The process's own name for itself, or None if it is gone."""
    try:
        with open(f"/proc/{pid}/comm", encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def children(pid):
    """{name: pid} of the living children of pid. A fresh fork bears its parent's name for an instant: left out."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            pids = [int(word) for word in file.read().split()]
    except OSError:
        return {}
    own = name(pid)
    # Each is asked for its name once: it may end, or take its own name, between two questions.
    named = [(name(p), p) for p in pids if alive(p)]
    return {its: p for its, p in named if its not in (None, own)}


def resident_kb(pids):
    """Memory of the processes together, shared pages counted once (proportional set size)."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total


def resident_besides_kb(pid, folder):
    """Memory of a process (proportional set size) without the mapped files of a folder."""
    total, counts = 0, True
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as file:
        for line in file:
            words = line.split(maxsplit=5)
            if not words[0].endswith(":"):  # from-to permissions offset device inode [path]
                counts = len(words) < 6 or not words[5].startswith(folder + "/")
            elif counts and words[0] == "Pss:":
                total += int(words[1])
    return total


def _tcp_table():
    """Established TCP connections of this machine: {(local port, remote port): inode}."""
    table = {}
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(path, encoding="ascii") as file:
                rows = file.readlines()[1:]
        except OSError:
            continue
        for row in rows:
            words = row.split()
            if words[3] == "01":
                ports = tuple(int(address.rpartition(":")[2], 16) for address in words[1:3])
                table[ports] = words[9]
    return table


def _inodes(pid):
    """The socket inodes that a process holds open."""
    found = set()
    try:
        entries = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return found
    for entry in entries:
        try:
            target = os.readlink(f"/proc/{pid}/fd/{entry}")
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def serving(broker_port, client_port, pids):
    """Which of pids holds the broker's end of the connection from client_port; None if none of them does."""
    inode = _tcp_table().get((broker_port, client_port))
    return next((pid for pid in pids if inode and inode in _inodes(pid)), None)


def connections_to(broker_port, pid=None):
    """The local ports of a client process's connections to the broker."""
    mine = _inodes(pid or os.getpid())
    return [ports[0] for ports, inode in _tcp_table().items() if ports[1] == broker_port and inode in mine]


def die_with_parent():
    """For preexec_fn: a broker must not outlive a test run that was killed."""
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def has_ipv6():
    """False where there is no ::1, as in many a container."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def free_port():
    """A port that nobody listens on, below the range from which the kernel takes ports for outgoing connections."""
    families = [(socket.AF_INET, "127.0.0.1")] + ([(socket.AF_INET6, "::1")] if has_ipv6() else [])
    start = 20000 + (os.getpid() * 37) % 9000
    for port in list(range(start, 30000)) + list(range(20000, start)):
        try:
            for family, host in families:
                with socket.socket(family, socket.SOCK_STREAM) as probe:
                    probe.bind((host, port))
            return port
        except OSError:
            continue
    raise AssertionError("no free port")


def reset_on_close(sock):
    """Closing this socket will send a reset instead of a farewell: a client that died."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
