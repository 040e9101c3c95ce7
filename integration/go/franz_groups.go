package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var franzBalancers = map[string]kgo.GroupBalancer{"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(),
	"sticky": kgo.StickyBalancer(), "cooperative-sticky": kgo.CooperativeStickyBalancer()}

var franzGroups = groupClient{name: "franz-go", strategies: []string{"range", "roundrobin", "sticky", "cooperative-sticky"},
	instances: true, steady: true, join: franzJoin}

func franzGroupOptions(o joining) []kgo.Opt {
	opts := []kgo.Opt{kgo.SeedBrokers(o.address), kgo.ConsumerGroup(o.group), kgo.ConsumeTopics(o.topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.HeartbeatInterval(100 * time.Millisecond), kgo.SessionTimeout(o.session), kgo.FetchMaxWait(500 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond })}
	if o.strategy != "" {
		opts = append(opts, kgo.Balancers(franzBalancers[o.strategy]))
	}
	if o.instance != "" {
		opts = append(opts, kgo.InstanceID(o.instance))
	}
	return opts
}

// franzJoin starts a member that commits what it has read before it may lose it.
func franzJoin(_ context.Context, l *ledger, o joining) (*member, error) {
	m, wire, done := &member{name: o.name, ledger: l}, &cable{}, make(chan bool)
	told := func(f func([]int32)) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) { f(partitions[o.topic]) }
	}
	taken := func(_ context.Context, c *kgo.Client, partitions map[string][]int32) {
		_, generation := c.GroupMetadata()
		m.take(generation, partitions[o.topic])
	}
	c, err := kgo.NewClient(append(franzGroupOptions(o), kgo.Dialer(wire.dial), kgo.OnPartitionsAssigned(taken),
		kgo.OnPartitionsRevoked(told(m.give)), kgo.OnPartitionsLost(told(m.lose)))...)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			franzTurn(ctx, c, m)
		}
	}()
	m.leave = func() {
		stop()
		<-done
		c.CloseAllowingRebalance()
	}
	m.vanish = func() {
		wire.cutOff()
		stop()
		go c.CloseAllowingRebalance()
	}
	return m, nil
}

func franzTurn(ctx context.Context, c *kgo.Client, m *member) {
	defer c.AllowRebalance()
	fetches := c.PollFetches(ctx)
	if ctx.Err() != nil {
		return
	}
	m.fail(fetches.Err())
	fetches.EachRecord(func(r *kgo.Record) { m.read(r.Partition, r.Offset) })
	if fetches.NumRecords() == 0 {
		return
	}
	// Not cancelled by stop(): what was read is to be committed.
	if err := c.CommitUncommittedOffsets(context.Background()); err != nil {
		m.fail(err)
		return
	}
	fetches.EachRecord(func(r *kgo.Record) { m.commit(r.Partition, r.Offset+1) })
}

func franzGroupCases() {
	check("franz-go: group: a twin of a static member fences it", franzTwin)
	check("franz-go: group: a pattern finds a topic that is created later", franzPattern)
	check("franz-go: group: paused partitions, offsets set and committed", franzPaused)
	check("franz-go: group: autocommit of marked records at close", franzMarked)
	check("franz-go: kadm: groups listed and described", franzGroupsDescribed)
	check("franz-go: kadm: a group's offsets: committed, fetched, lag, deleted", franzGroupOffsets)
	check("franz-go: kadm: groups deleted, static members removed", franzGroupsDeleted)
}

// franzScene has n members of a group share a new topic.
func franzScene(ctx context.Context, parts, n int, change func(i int, o *joining)) (*scene, error) {
	s, err := franzGroups.scene(ctx, bootstrap, parts)
	if err != nil {
		return nil, err
	}
	return s, s.joins(ctx, n, change)
}

func wants(want error, err error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("expected %v, was %v", want, err)
	}
	return nil
}

func franzTwin(ctx context.Context) error {
	s, err := franzScene(ctx, 2, 1, func(_ int, o *joining) { o.instance = "twin" })
	if err != nil {
		return err
	}
	one := s.members[0]
	two, err := franzGroups.scene(ctx, bootstrap, 2)
	if err != nil {
		return err
	}
	two.usual.group, two.usual.topic = s.usual.group, s.usual.topic
	if err := two.joins(ctx, 1, func(_ int, o *joining) { o.instance = "twin" }); err != nil {
		return err
	}
	if err := await(ctx, "the first is fenced", func() bool { return one.failure() != nil }); err != nil {
		return err
	}
	one.leave()
	return first(wants(kerr.FencedInstanceID, one.failure()), two.some(ctx, 20), two.read(ctx, 20), two.end())
}

// franzPoll polls until so many records came.
func franzPoll(ctx context.Context, c *kgo.Client, n int) (got []*kgo.Record, err error) {
	for len(got) < n && err == nil {
		fetches := c.PollFetches(ctx)
		got, err = append(got, fetches.Records()...), fetches.Err()
		c.AllowRebalance()
	}
	return got, first(err, equal(n, len(got), "records"))
}

func franzPattern(ctx context.Context) error {
	s, err := franzGroups.scene(ctx, bootstrap, 1)
	if err != nil {
		return err
	}
	o := s.usual
	o.topic = "^" + s.usual.topic + ".*"
	c, err := kgo.NewClient(append(franzGroupOptions(o), kgo.ConsumeRegex(), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.MetadataMaxAge(200*time.Millisecond))...)
	if err != nil {
		return err
	}
	defer c.CloseAllowingRebalance()
	if err := s.some(ctx, 3); err != nil {
		return err
	}
	if _, err := franzPoll(ctx, c, 3); err != nil {
		return err
	}
	s.usual.topic += "-later"
	if err := first(createAt(ctx, bootstrap, s.usual.topic, 1), s.some(ctx, 5)); err != nil {
		return err
	}
	got, err := franzPoll(ctx, c, 5)
	return first(err, equal(s.usual.topic, got[0].Topic, "topic"))
}

func franzPaused(ctx context.Context) error {
	s, err := franzGroups.scene(ctx, bootstrap, 2)
	if err != nil {
		return err
	}
	if err := s.some(ctx, 20); err != nil {
		return err
	}
	c, err := kgo.NewClient(franzGroupOptions(s.usual)...)
	if err != nil {
		return err
	}
	defer c.CloseAllowingRebalance()
	t := s.usual.topic
	held := map[string][]int32{t: {1}}
	c.PauseFetchPartitions(held)
	got, err := franzPoll(ctx, c, 10)
	if err != nil {
		return err
	}
	for _, r := range got {
		if r.Partition != 0 {
			return errors.New("a record of the paused partition")
		}
	}
	c.ResumeFetchPartitions(held)
	if _, err := franzPoll(ctx, c, 10); err != nil {
		return err
	}
	if err := c.CommitUncommittedOffsets(ctx); err != nil {
		return err
	}
	c.SetOffsets(map[string]map[int32]kgo.EpochOffset{t: {0: {Epoch: -1, Offset: 7}}})
	got, err = franzPoll(ctx, c, 3)
	return first(err, equal(7, got[0].Offset, "first offset after it was set"),
		equal(10, c.CommittedOffsets()[t][1].Offset, "committed"))
}

func franzMarked(ctx context.Context) error {
	s, err := franzGroups.scene(ctx, bootstrap, 1)
	if err != nil {
		return err
	}
	if err := s.some(ctx, 10); err != nil {
		return err
	}
	o := s.usual
	c, err := kgo.NewClient(kgo.SeedBrokers(o.address), kgo.ConsumerGroup(o.group), kgo.ConsumeTopics(o.topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AutoCommitMarks())
	if err != nil {
		return err
	}
	got, err := franzPoll(ctx, c, 10)
	if err != nil {
		return err
	}
	c.MarkCommitRecords(got[:4]...)
	if err := c.CommitMarkedOffsets(ctx); err != nil {
		return err
	}
	c.MarkCommitRecords(got[:6]...)
	c.Close()
	return with(func(a *kadm.Client) error {
		offsets, err := a.FetchOffsets(ctx, o.group)
		return first(err, equal(6, offsets[o.topic][0].At, "committed"))
	})
}

func franzGroupsDescribed(ctx context.Context) error {
	s, err := franzScene(ctx, 4, 2, nil)
	if err != nil {
		return err
	}
	group := s.usual.group
	return with(func(a *kadm.Client) error {
		d, err := a.DescribeGroups(ctx, group, "no-such-group")
		g := d[group]
		if err := first(err, g.Err, equal("Stable", g.State, "state"), equal("consumer", g.ProtocolType, "protocol type"),
			equal("cooperative-sticky", g.Protocol, "protocol"), equal(2, len(g.Members), "members")); err != nil {
			return err
		}
		all := g.AssignedPartitions()
		if none := d["no-such-group"]; none.State != "Dead" && !errors.Is(none.Err, kerr.GroupIDNotFound) {
			return fmt.Errorf("an absent group is %v (%v)", none.State, none.Err)
		}
		listed, err := a.ListGroups(ctx)
		stable, err2 := a.ListGroups(ctx, "Stable")
		empty, err3 := a.ListGroups(ctx, "Empty")
		classic, err4 := a.ListGroupsByType(ctx, []string{"classic"})
		newer, err5 := a.ListGroupsByType(ctx, []string{"consumer"})
		_, isListed := listed[group]
		_, isStable := stable[group]
		_, isEmpty := empty[group]
		_, isClassic := classic[group]
		return first(err, err2, err3, err4, err5, equal(4, len(all[s.usual.topic]), "assigned partitions"),
			equal("Stable", listed[group].State, "state in the list"), equal(true, isListed && isStable && isClassic, "is listed"),
			equal(false, isEmpty, "is listed among the empty"), equal(0, len(newer), "groups of the newer protocol"), s.end())
	})
}

func franzGroupOffsets(ctx context.Context) error {
	s, err := franzGroups.scene(ctx, bootstrap, 2)
	if err != nil {
		return err
	}
	t, group := s.usual.topic, s.usual.group
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: t, Partition: 0, At: 3, LeaderEpoch: 0, Metadata: "three"})
	offsets.Add(kadm.Offset{Topic: t, Partition: 1, At: 0, LeaderEpoch: -1, Metadata: "none"})
	return with(func(a *kadm.Client) error {
		if err := first(s.some(ctx, 20), a.CommitAllOffsets(ctx, group, offsets)); err != nil {
			return err
		}
		many := a.FetchManyOffsets(ctx, group, "no-such-group")
		got := many[group].Fetched
		lag, err := a.Lag(ctx, group)
		if err := first(many.Error(), err, lag.Error(), equal(3, got[t][0].At, "offset"), equal("three", got[t][0].Metadata, "metadata"),
			equal(0, got[t][1].At, "offset"), equal("none", got[t][1].Metadata, "metadata"),
			equal(0, len(many["no-such-group"].Fetched), "topics of an absent group"), equal(17, lag[group].Lag.Total(), "lag")); err != nil {
			return err
		}
		unknown, err := a.CommitOffsets(ctx, group, kadm.Offsets{"no-such-topic": {0: {Topic: "no-such-topic", At: 1}}})
		if err := first(err, wants(kerr.UnknownTopicOrPartition, unknown.Error())); err != nil {
			return err
		}
		deleted, err := a.DeleteOffsets(ctx, group, kadm.TopicsSet{t: {0: {}}})
		if err := first(err, deleted.Error()); err != nil {
			return err
		}
		left, err := a.FetchOffsets(ctx, group)
		if err := first(err, equal(1, len(left[t]), "offsets left")); err != nil {
			return err
		}
		if err := s.joins(ctx, 1, nil); err != nil {
			return err
		}
		refused, err := a.CommitOffsets(ctx, group, offsets)
		kept, err2 := a.DeleteOffsets(ctx, group, kadm.TopicsSet{t: {1: {}}})
		return first(err, err2, wants(kerr.UnknownMemberID, refused.Error()), wants(kerr.GroupSubscribedToTopic, kept.Error()), s.end())
	})
}

func franzGroupsDeleted(ctx context.Context) error {
	s, err := franzScene(ctx, 2, 2, func(i int, o *joining) { o.instance = fmt.Sprintf("i%d", i) })
	if err != nil {
		return err
	}
	group := s.usual.group
	return with(func(a *kadm.Client) error {
		deleted, err := a.DeleteGroups(ctx, group, "no-such-group")
		if err := first(err, wants(kerr.NonEmptyGroup, deleted[group].Err),
			wants(kerr.GroupIDNotFound, deleted["no-such-group"].Err), s.end()); err != nil {
			return err
		}
		// Static members do not leave by themselves.
		left, err := a.LeaveGroup(ctx, kadm.LeaveGroup(group).InstanceIDs("i0", "i1", "i2"))
		if err := first(err, left["i0"].Err, left["i1"].Err, wants(kerr.UnknownMemberID, left["i2"].Err)); err != nil {
			return err
		}
		again, err := a.DeleteGroup(ctx, group)
		if err := first(err, again.Err); err != nil {
			return err
		}
		_, err = a.DeleteGroup(ctx, group)
		return wants(kerr.GroupIDNotFound, err)
	})
}
