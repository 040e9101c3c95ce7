#!/bin/sh
# kcat: what it can do with a broker, in a minute. Needs kcat; BOOTSTRAP says where the broker is.
#
#	sh tour.sh
set -eu
B=${BOOTSTRAP:-localhost:9092}
T=tour-$$

echo "# three records, one a line"
printf 'one\ntwo\nthree\n' | kcat -b "$B" -P -t "$T"

echo "# keys and values, compressed; all of them or an error"
printf 'k1:hello\nk2:world\n' | kcat -b "$B" -P -t "$T" -K : -z zstd -X acks=all

echo "# a header"
echo 'with a header' | kcat -b "$B" -P -t "$T" -H source=tour

echo "# read from the beginning to the end"
kcat -b "$B" -C -t "$T" -o beginning -e -q -f 'partition %p offset %o key %k headers %h: %s\n'

echo "# the last two"
kcat -b "$B" -C -t "$T" -o -2 -e -q

echo "# where does the partition end? (-1: the end, -2: the beginning)"
kcat -b "$B" -Q -t "$T:0:-1"

echo "# brokers, topics, partitions"
kcat -b "$B" -L -t "$T"
