#!/bin/sh
# kcat -G: consumers that share a topic. Needs kcat; BOOTSTRAP says where the broker is.
#
#	sh group.sh
set -eu
B=${BOOTSTRAP:-localhost:9092}
T=letters-$$
G=readers-$$

# The members say on standard error what they are assigned, and end when they have read so many records.
member() {
	kcat -b "$B" -G "$G" -c "$1" -X auto.offset.reset=earliest -X heartbeat.interval.ms=200 -u \
		-f 'partition %p offset %o: %s\n' "$T" 2>&1 | sed "s/^/$2: /"
}

echo "# one member reads three records, commits, and leaves"
printf 'a\nb\nc\n' | kcat -b "$B" -P -t "$T"
member 3 first

echo "# another one goes on where the group was"
printf 'd\ne\n' | kcat -b "$B" -P -t "$T"
member 2 second

echo "# who has a group's records to itself reads them all: other groups do not matter"
G=others-$$
member 5 other
