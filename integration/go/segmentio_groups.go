package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

var segmentioBalancers = map[string]kafka.GroupBalancer{"range": kafka.RangeGroupBalancer{},
	"roundrobin": kafka.RoundRobinGroupBalancer{}}

var segmentioGroups = groupClient{name: "kafka-go", strategies: []string{"range", "roundrobin"}, join: segmentioJoin}

func segmentioGroupConfig(o joining, dialer *kafka.Dialer) kafka.ConsumerGroupConfig {
	conf := kafka.ConsumerGroupConfig{ID: o.group, Brokers: []string{o.address}, Topics: []string{o.topic}, Dialer: dialer,
		HeartbeatInterval: 100 * time.Millisecond, SessionTimeout: o.session, JoinGroupBackoff: 50 * time.Millisecond,
		StartOffset: kafka.FirstOffset}
	if o.strategy != "" {
		conf.GroupBalancers = []kafka.GroupBalancer{segmentioBalancers[o.strategy]}
	}
	return conf
}

// segmentioJoin starts a member with the client's ConsumerGroup, which hands out generations.
func segmentioJoin(_ context.Context, l *ledger, o joining) (*member, error) {
	m, wire, done := &member{name: o.name, ledger: l}, &cable{}, make(chan bool)
	dialer := &kafka.Dialer{DialFunc: wire.dial, Timeout: 5 * time.Second}
	group, err := kafka.NewConsumerGroup(segmentioGroupConfig(o, dialer))
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			g, err := group.Next(ctx)
			if err != nil { // the client tries again
				continue
			}
			var mine []int32
			for _, a := range g.Assignments[o.topic] {
				mine = append(mine, int32(a.ID))
			}
			m.take(g.ID, mine)
			var one sync.Mutex
			for _, a := range g.Assignments[o.topic] {
				g.Start(func(ctx context.Context) { segmentioPartition(ctx, m, &one, g, dialer, o, a) })
			}
		}
	}()
	m.leave = func() {
		stop()
		<-done
		m.fail(group.Close())
	}
	m.vanish = func() {
		wire.cutOff()
		stop()
		go group.Close()
	}
	return m, nil
}

// segmentioPartition reads one partition for as long as the generation lives. It commits when it has caught up, one
// partition at a time: commits beside each other would have this client spin over the one connection that they share.
func segmentioPartition(ctx context.Context, m *member, one *sync.Mutex, g *kafka.Generation, dialer *kafka.Dialer, o joining,
	a kafka.PartitionAssignment) {
	p, next := int32(a.ID), a.Offset
	commit := func() error {
		one.Lock()
		defer one.Unlock()
		err := g.CommitOffsets(map[string]map[int]int64{o.topic: {a.ID: next}})
		if err == nil {
			m.commit(p, next)
		}
		return err
	}
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{o.address}, Topic: o.topic, Partition: a.ID, Dialer: dialer,
		MaxWait: 200 * time.Millisecond, ReadBackoffMin: 10 * time.Millisecond, ReadBackoffMax: 100 * time.Millisecond})
	defer r.Close()
	m.fail(r.SetOffset(a.Offset))
	for ctx.Err() == nil {
		record, err := r.ReadMessage(ctx)
		if err != nil { // the end of the generation, or of a connection
			continue
		}
		m.read(p, record.Offset)
		next = record.Offset + 1
		if next < record.HighWaterMark {
			continue
		}
		if err := commit(); err != nil {
			break
		}
	}
	if next >= 0 && commit() != nil {
		m.lose([]int32{p})
		return
	}
	m.give([]int32{p})
}

func segmentioGroupCases() {
	check("kafka-go: Reader with a group: two read all, a third goes on", segmentioReaders)
	check("kafka-go: Client: groups and offsets", segmentioGroupClient)
}

// segmentioReadGroup has n Readers of a group read and commit until they have so many records between them.
func segmentioReadGroup(ctx context.Context, o joining, n, records int) (map[string]int, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	got, failures := make(chan string), make(chan error, n)
	for range n {
		r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{o.address}, GroupID: o.group, Topic: o.topic,
			Dialer: &kafka.Dialer{Timeout: 5 * time.Second}, MaxWait: 200 * time.Millisecond, StartOffset: kafka.FirstOffset,
			HeartbeatInterval: 100 * time.Millisecond, SessionTimeout: o.session, JoinGroupBackoff: 50 * time.Millisecond})
		go func() {
			var err error
			for err == nil {
				var m kafka.Message
				if m, err = r.FetchMessage(ctx); err == nil {
					got <- fmt.Sprintf("%d@%d", m.Partition, m.Offset)
					err = r.CommitMessages(ctx, m)
				}
			}
			if ctx.Err() != nil { // that is how it ends
				err = nil
			}
			failures <- first(err, r.Close())
		}()
	}
	seen := map[string]int{}
	for len(seen) < records {
		select {
		case record := <-got:
			seen[record]++
		case err := <-failures:
			return seen, fmt.Errorf("after %d of %d records: %w", len(seen), records, err)
		case <-ctx.Done():
			return seen, fmt.Errorf("%d of %d records came", len(seen), records)
		}
	}
	// What is committed last is on its way: the Readers are stopped when nothing more comes for a moment.
	for {
		select {
		case record := <-got:
			seen[record]++
			continue
		case <-time.After(300 * time.Millisecond):
		}
		stop()
		for range n {
			if err := <-failures; err != nil {
				return seen, err
			}
		}
		return seen, nil
	}
}

func segmentioReaders(ctx context.Context) error {
	s, err := segmentioGroups.scene(ctx, bootstrap, 4)
	if err != nil {
		return err
	}
	if err := s.some(ctx, 200); err != nil {
		return err
	}
	seen, err := segmentioReadGroup(ctx, s.usual, 2, 200)
	if err := first(err, equal(200, len(seen), "different records"), s.some(ctx, 40)); err != nil {
		return err
	}
	more, err := segmentioReadGroup(ctx, s.usual, 1, 40)
	for record := range more {
		if seen[record] > 0 {
			return fmt.Errorf("%s was read and committed, and is read again", record)
		}
	}
	return first(err, equal(40, len(more), "further records"))
}

func segmentioGroupClient(ctx context.Context) error {
	s, err := segmentioGroups.scene(ctx, bootstrap, 2)
	if err != nil {
		return err
	}
	t, group := s.usual.topic, s.usual.group
	c := &kafka.Client{Addr: kafka.TCP(bootstrap), Timeout: 15 * time.Second, Transport: segmentioTransport()}
	committed, err := c.OffsetCommit(ctx, &kafka.OffsetCommitRequest{GroupID: group, GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{t: {{Partition: 0, Offset: 9, Metadata: "nine"}}}})
	if err := first(err, equal(nil, committed.Topics[t][0].Error, "error of the commit")); err != nil {
		return err
	}
	fetched, err := c.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{t: {0, 1}}})
	if err := first(err, fetched.Error); err != nil {
		return err
	}
	for _, p := range fetched.Topics[t] {
		if err := equal([]int64{9, -1}[p.Partition], p.CommittedOffset, "committed"); err != nil {
			return err
		}
	}
	if err := s.joins(ctx, 1, nil); err != nil {
		return err
	}
	d, err := c.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err := first(err, equal("Stable", d.Groups[0].GroupState, "state"), equal(1, len(d.Groups[0].Members), "members"),
		equal(2, len(d.Groups[0].Members[0].MemberAssignments.Topics[0].Partitions), "partitions")); err != nil {
		return err
	}
	listed, err := c.ListGroups(ctx, &kafka.ListGroupsRequest{})
	if err := first(err, listed.Error); err != nil {
		return err
	}
	if !slices.ContainsFunc(listed.Groups, func(g kafka.ListGroupsResponseGroup) bool { return g.GroupID == group }) {
		return errors.New("the group is not listed")
	}
	refused, err := c.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
	if err := first(err, wants(kafka.NonEmptyGroup, refused.Errors[group]), s.end()); err != nil {
		return err
	}
	forgotten, err := c.OffsetDelete(ctx, &kafka.OffsetDeleteRequest{GroupID: group, Topics: map[string][]int{t: {0}}})
	if err := first(err, forgotten.Error); err != nil {
		return err
	}
	deleted, err := c.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
	return first(err, deleted.Errors[group])
}
