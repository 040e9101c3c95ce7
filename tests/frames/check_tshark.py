#!/usr/bin/env python3
"""Does Wireshark's Kafka dissector read our bytes as we meant them?

    check_tshark.py DIR     DIR holds capture.pcap and values.txt, as tests/test_tshark.c writes them

Every message that tshark claims to know must be dissected without complaint, and each of our values must be found at
its place, under the name that tshark_names.txt gives for it, with the value that we meant. What tshark 4.0 does not
know, or reads wrongly, is listed below; an entry that has become untrue is an error, too.
"""
import collections
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

HEADERS = 40  # bytes of IP and TCP before the payload

# The last version that tshark 4.0 knows, by API key. Other APIs are unknown to it.
NEWEST = {0: 8, 1: 11, 2: 5, 3: 9, 8: 8, 9: 7, 10: 3, 11: 7, 12: 4, 13: 4, 14: 5, 15: 5, 16: 3, 18: 3, 19: 5, 20: 4,
          22: 3, 23: 3, 32: 2, 37: 2, 42: 2, 47: 0}

# What it believes to know, and reads otherwise than Kafka's own definitions say.
MISREAD = {
    # bytes that are not compact have a length of 4 bytes; it takes 2
    **{(11, v, kind): 'bytes' for v in range(0, 6) for kind in ('request', 'response')},
    **{(14, v, kind): 'bytes' for v in range(0, 4) for kind in ('request', 'response')},
    **{(15, v, 'response'): 'bytes' for v in range(0, 5)},
    # throttle_time_ms is there from v1 on; it looks for it from v3 on
    **{(20, v, 'response'): 'throttle_time_ms' for v in (1, 2)},
}


def read_values(path):
    """A list of (packet, key, version, kind, [(from, to, path, value)])."""
    messages = []
    with open(path) as lines:
        for line in lines:
            words = line.split()
            if words[0] == 'message':
                messages.append((int(words[1]), int(words[2]), int(words[3]), words[4], []))
            else:
                messages[-1][4].append((int(words[0]), int(words[1]), words[2], words[3]))
    return messages


def dissect(pcap):
    """A list of (fields, complaints) by packet; a field is (name, from, to, shown)."""
    run = subprocess.run(['tshark', '-r', pcap, '-T', 'pdml', '-o', 'tcp.check_checksum:FALSE'],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if run.returncode != 0:
        sys.exit('tshark: %s' % run.stderr.decode())
    packets = []
    for packet in ElementTree.fromstring(run.stdout).findall('packet'):
        fields, complaints = [], []
        for proto in packet.findall('proto'):
            if proto.get('name') in ('_ws.malformed', '_ws.expert'):
                complaints.append('malformed')
            if proto.get('name') != 'kafka':
                continue
            for field in proto.iter('field'):
                name, start = field.get('name'), int(field.get('pos')) - HEADERS
                if name == '_ws.expert':
                    complaints.append(field.get('showname'))
                if name.startswith('kafka.'):
                    fields.append((name, start, start + int(field.get('size')), field.get('show')))
        if not fields:
            complaints.append('not taken for Kafka')
        packets.append((fields, complaints))
    return packets


def real_complaints(key, kind, complaints):
    """ApiVersions lists APIs, of which tshark knows some and not others: that is no fault of the message."""
    if (key, kind) != (18, 'response'):
        return complaints
    return [c for c in complaints if 'API key' not in c and ('Unsupported' not in c or 'ApiVersions' in c)]


def same(shown, value):
    """The value as we wrote it down: a number, or bytes in hex (strings are plain letters here)."""
    if shown is None:
        return False
    if shown in ('True', 'False'):
        return int(shown == 'True') == int(value)
    try:
        number = int(shown, 0)
        if number == int(value) or number % (1 << 32) == int(value) % (1 << 32):
            return True
    except ValueError:
        pass
    return shown.replace(':', '') == value or shown.encode().hex() == value


def check_value(where, fields, value, names, problems, seen):
    start, end, path, text = value
    wanted = names.get(where + (path,))
    if wanted is None:
        problems.append('%s %s %s: has no name in tshark_names.txt' % (where + (path,)))
        return
    seen.add(where + (path,))
    if wanted == ['kafka.tagged_field_data']:  # tags are not looked into
        if not any(f[0] in wanted and f[1] <= start and end <= f[2] for f in fields):
            problems.append('%s %s %s: in no tagged field' % (where + (path,)))
        return
    # A string's or bytes' own length may be counted in or not, as it likes; the end is the same.
    here = [f for f in fields if f[0] in wanted and f[2] == end and start - 4 <= f[1] < end]
    if not here:
        problems.append('%s %s %s: nothing like %s ends at %d' % (where + (path, '/'.join(wanted), end)))
    elif not any(same(f[3], text) for f in here):
        problems.append('%s %s %s: we wrote %s, tshark reads %s' % (where + (path, text, here[0][3])))


def read_names(path):
    names = collections.defaultdict(list)
    with open(path) as lines:
        for line in lines:
            words = line.split()
            if words and words[0] != '#':
                names[(int(words[0]), words[1], words[2])] = words[3:]
    return names


def main(directory):
    names = read_names(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'tshark_names.txt'))
    messages = read_values(os.path.join(directory, 'values.txt'))
    packets = dissect(os.path.join(directory, 'capture.pcap'))
    problems, seen, values = [], set(), 0
    complained, expected = collections.Counter(), collections.Counter()
    if len(messages) != len(packets) or not messages:
        sys.exit('%d messages, %d packets' % (len(messages), len(packets)))
    for packet, key, version, kind, written in messages:
        fields, complaints = packets[packet - 1]
        complaints = real_complaints(key, kind, complaints)
        if version > NEWEST.get(key, -1) or (key, version, kind) in MISREAD:
            expected[(key, version, kind)] += 1
            complained[(key, version, kind)] += bool(complaints)
            continue
        for complaint in complaints:
            problems.append('%d v%d %s: %s' % (key, version, kind, complaint))
        for value in written:
            check_value((key, kind), fields, value, names, problems, seen)
            values += 1
    for where in expected:
        if not complained[where]:
            problems.append('%d v%d %s: listed as unknown or misread, but tshark has nothing against it' % where)
    for where in set(MISREAD) - set(expected):
        problems.append('%d v%d %s: listed as misread, but not in the capture' % where)
    for where in set(names) - seen:
        problems.append('%d %s %s: in tshark_names.txt, but in no message' % where)
    for problem in problems[:40]:
        print(problem)
    print('%d messages, of which %d beyond tshark; %d values compared; %d problems' %
          (len(messages), sum(expected.values()), values, len(problems)))
    return 1 if problems or values == 0 else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
