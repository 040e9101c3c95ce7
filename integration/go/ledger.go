package main

import (
	"fmt"
	"strings"
	"sync"
)

// ledger knows who owns which partition of one topic, and how far each was read. A partition that is given to one while
// another still has it, and a record that is missed or read again, are wrong; but what was not surely committed when a
// partition was lost may be read again.
type ledger struct {
	mu        sync.Mutex
	owner     map[int32]*member
	next      map[int32]int64
	committed map[int32]int64
	lost      map[int32]bool
	again     bool // nobody knows what was committed: anything may be read again, but nothing missed
	wrong     []string
}

func newLedger() *ledger {
	return &ledger{owner: map[int32]*member{}, next: map[int32]int64{}, committed: map[int32]int64{}, lost: map[int32]bool{}}
}

func (l *ledger) complain(format string, a ...any) {
	l.wrong = append(l.wrong, fmt.Sprintf(format, a...))
}

// count is the number of records read, each counted once.
func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := int64(0)
	for _, next := range l.next {
		n += next
	}
	return int(n)
}

func (l *ledger) check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%d wrong: %s", len(l.wrong), strings.Join(l.wrong[:min(5, len(l.wrong))], "; "))
}

// member is a consumer of a group, of whichever client, that tells the ledger what it is given and what it reads.
type member struct {
	name   string
	ledger *ledger
	told   int   // how often it was given or lost something
	taken  int   // how many partitions were taken from it
	joined int32 // the group's generation that it was told of last
	failed error
	deaf   bool   // cut off: whatever it still does is nobody's business
	leave  func() // close the client in good order
	vanish func() // cut it off
}

// heard locks the ledger if the member has a say in it.
func (m *member) heard() bool {
	m.ledger.mu.Lock()
	if m.deaf {
		m.ledger.mu.Unlock()
	}
	return !m.deaf
}

func (m *member) take(generation int32, partitions []int32) {
	if !m.heard() {
		return
	}
	defer m.ledger.mu.Unlock()
	m.told++
	m.joined = generation
	for _, p := range partitions {
		if other := m.ledger.owner[p]; other != nil {
			m.ledger.complain("%s was given %d, which %s still had", m.name, p, other.name)
		}
		m.ledger.owner[p] = m
	}
}

func (m *member) give(partitions []int32) {
	if !m.heard() {
		return
	}
	defer m.ledger.mu.Unlock()
	m.told++
	m.taken += len(partitions)
	for _, p := range partitions {
		if m.ledger.owner[p] != m {
			m.ledger.complain("%s gives back %d, which it did not have", m.name, p)
		}
		delete(m.ledger.owner, p)
	}
}

// lose is giving back where the last commit may have failed.
func (m *member) lose(partitions []int32) {
	m.give(partitions)
	if !m.heard() {
		return
	}
	defer m.ledger.mu.Unlock()
	for _, p := range partitions {
		m.ledger.lost[p] = true
	}
}

// commit notes that what precedes the offset was surely committed.
func (m *member) commit(p int32, offset int64) {
	if !m.heard() {
		return
	}
	defer m.ledger.mu.Unlock()
	m.ledger.committed[p] = offset
}

func (m *member) read(p int32, offset int64) {
	if !m.heard() {
		return
	}
	defer m.ledger.mu.Unlock()
	want := m.ledger.next[p]
	again := offset < want && (m.ledger.again || m.ledger.lost[p] && m.ledger.committed[p] <= offset)
	m.ledger.lost[p] = false
	if offset != want && !again {
		m.ledger.complain("%s read %d@%d instead of %d", m.name, p, offset, want)
	}
	if m.ledger.owner[p] != m {
		m.ledger.complain("%s read %d, which it did not have", m.name, p)
	}
	m.ledger.next[p] = offset + 1
}

// fail notes what should not have happened to it, the first of several.
func (m *member) fail(err error) {
	if !m.heard() {
		return
	}
	defer m.ledger.mu.Unlock()
	if m.failed == nil && err != nil {
		m.failed = err
	}
}

// gone is a member that is cut off: what it had is free for others.
func (m *member) gone() {
	m.ledger.mu.Lock()
	m.deaf = true
	m.release()
	m.ledger.mu.Unlock()
	m.vanish()
}

// release frees what it still has; the ledger is locked.
func (m *member) release() {
	for p, owner := range m.ledger.owner {
		if owner == m {
			delete(m.ledger.owner, p)
		}
	}
}

// history is how often it was told something, and how much was taken from it: the same, unless there was a rebalance.
func (m *member) history() [2]int {
	m.ledger.mu.Lock()
	defer m.ledger.mu.Unlock()
	return [2]int{m.told, m.taken}
}

func (m *member) failure() error {
	m.ledger.mu.Lock()
	defer m.ledger.mu.Unlock()
	if m.failed != nil {
		return fmt.Errorf("%s: %w", m.name, m.failed)
	}
	return nil
}

// shares gives for each member what it has.
func shares(members []*member) (out []map[int32]bool) {
	l := members[0].ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range members {
		share := map[int32]bool{}
		for p, owner := range l.owner {
			if owner == m {
				share[p] = true
			}
		}
		out = append(out, share)
	}
	return out
}

// inOneGeneration is whether all were told of the same generation of the group.
func inOneGeneration(members []*member) bool {
	l := members[0].ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range members {
		if m.joined != members[0].joined {
			return false
		}
	}
	return true
}
