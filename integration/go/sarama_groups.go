package main

import (
	"context"
	"time"

	"github.com/IBM/sarama"
)

var saramaStrategies = map[string]sarama.BalanceStrategy{"range": sarama.NewBalanceStrategyRange(),
	"roundrobin": sarama.NewBalanceStrategyRoundRobin(), "sticky": sarama.NewBalanceStrategySticky()}

var saramaGroups = groupClient{name: "sarama", strategies: []string{"range", "roundrobin", "sticky"}, instances: true, unsure: true, steady: true,
	join: saramaJoin}

func saramaGroupConfig(o joining) *sarama.Config {
	conf := saramaConfig(sarama.MaxVersion)
	conf.Consumer.Offsets.Initial = sarama.OffsetOldest
	conf.Consumer.Offsets.AutoCommit.Enable = false
	conf.Consumer.MaxWaitTime = 50 * time.Millisecond // its commits queue behind its fetches
	conf.Consumer.Group.Session.Timeout = o.session
	conf.Consumer.Group.Heartbeat.Interval = 100 * time.Millisecond
	conf.Consumer.Group.Rebalance.Retry.Backoff = 50 * time.Millisecond
	conf.Consumer.Retry.Backoff = 50 * time.Millisecond
	conf.Metadata.Retry.Backoff = 50 * time.Millisecond
	conf.Metadata.Retry.Max = 20
	conf.Consumer.Group.InstanceId = o.instance
	if o.strategy != "" {
		conf.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{saramaStrategies[o.strategy]}
	}
	return conf
}

// saramaMember is what Sarama calls.
type saramaMember struct {
	*member
	topic string
}

func (m saramaMember) Setup(s sarama.ConsumerGroupSession) error {
	m.take(s.GenerationID(), s.Claims()[m.topic])
	return nil
}

// Cleanup commits what was marked while more was waiting: this client lets go of it otherwise.
func (m saramaMember) Cleanup(s sarama.ConsumerGroupSession) error {
	s.Commit()
	m.give(s.Claims()[m.topic])
	return nil
}

func (m saramaMember) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case <-s.Context().Done():
			return nil
		case r, more := <-claim.Messages():
			if !more || s.Context().Err() != nil {
				return nil
			}
			m.read(r.Partition, r.Offset)
			s.MarkMessage(r, "read by "+m.name)
			if len(claim.Messages()) == 0 {
				s.Commit()
			}
		}
	}
}

func saramaJoin(_ context.Context, l *ledger, o joining) (*member, error) {
	return saramaJoinAs(l, o, saramaGroupConfig(o))
}

func saramaJoinAs(l *ledger, o joining, conf *sarama.Config) (*member, error) {
	m, wire, done := &member{name: o.name, ledger: l}, &cable{}, make(chan bool)
	conf.Net.Proxy.Enable, conf.Net.Proxy.Dialer = true, wire
	group, err := sarama.NewConsumerGroup([]string{o.address}, o.group, conf)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		for range group.Errors() { // reported, and tried again by the client
		}
	}()
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			// It returns at each rebalance, and when the coordinator is not to be reached.
			if err := group.Consume(ctx, []string{o.topic}, saramaMember{m, o.topic}); err == sarama.ErrClosedConsumerGroup {
				return
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

func saramaGroupCases() {
	// The version that the client is told decides how it joins: JoinGroup v1 to v5 and more.
	for _, v := range []sarama.KafkaVersion{sarama.V0_11_0_0, sarama.V1_0_0_0, sarama.V2_3_0_0, sarama.V2_5_0_0} {
		old := saramaGroups
		old.name = "sarama as " + v.String()
		old.join = func(ctx context.Context, l *ledger, o joining) (*member, error) {
			conf := saramaGroupConfig(o)
			conf.Version = v
			return saramaJoinAs(l, o, conf)
		}
		check(old.name+": group: members come and go while records are written", func(ctx context.Context) error {
			return old.comeAndGo(ctx, "range")
		})
	}
	check("sarama: OffsetManager: marks, metadata, resets", saramaOffsetManager)
	check("sarama: ClusterAdmin: groups listed, described, deleted", saramaGroupAdmin)
	check("sarama: ClusterAdmin: a group's offsets", saramaGroupOffsets)
}

func saramaOffsetManager(ctx context.Context) error {
	s, err := saramaGroups.scene(ctx, bootstrap, 2)
	if err != nil {
		return err
	}
	conf := saramaGroupConfig(s.usual)
	for round := int64(0); round < 2; round++ {
		c, err := sarama.NewClient([]string{bootstrap}, conf)
		if err != nil {
			return err
		}
		defer c.Close()
		m, err := sarama.NewOffsetManagerFromClient(s.usual.group, c)
		if err != nil {
			return err
		}
		p, err := m.ManagePartition(s.usual.topic, 1)
		if err != nil {
			return err
		}
		next, note := p.NextOffset()
		if err := first(equal([]int64{sarama.OffsetOldest, 40}[round], next, "next offset"),
			equal([]string{"", "forty"}[round], note, "metadata")); err != nil {
			return err
		}
		p.MarkOffset(41, "forty-one")
		m.Commit()
		p.ResetOffset(40, "forty")
		m.Commit()
		p.AsyncClose() // where commits are by hand, its Close would wait for that of the manager
		if err := m.Close(); err != nil {
			return err
		}
	}
	return nil
}

// withSarama gives f an admin client of its own.
func withSarama(f func(a sarama.ClusterAdmin) error) error {
	a, err := sarama.NewClusterAdmin([]string{bootstrap}, saramaConfig(sarama.MaxVersion))
	if err != nil {
		return err
	}
	defer a.Close()
	return f(a)
}

func saramaGroupAdmin(ctx context.Context) error {
	s, err := saramaGroups.scene(ctx, bootstrap, 2)
	if err != nil {
		return err
	}
	if err := s.joins(ctx, 1, func(_ int, o *joining) { o.instance = "i" }); err != nil {
		return err
	}
	group := s.usual.group
	return withSarama(func(a sarama.ClusterAdmin) error {
		listed, err := a.ListConsumerGroups()
		if err := first(err, equal("consumer", listed[group], "type in the list")); err != nil {
			return err
		}
		d, err := a.DescribeConsumerGroups([]string{group})
		if err := first(err, equal(1, len(d), "groups"), equal("Stable", d[0].State, "state"), equal("range", d[0].Protocol, "protocol"),
			equal(1, len(d[0].Members), "members")); err != nil {
			return err
		}
		for _, m := range d[0].Members {
			assigned, err := m.GetMemberAssignment()
			if err := first(err, equal(2, len(assigned.Topics[s.usual.topic]), "partitions"), equal("i", *m.GroupInstanceId, "instance")); err != nil {
				return err
			}
		}
		if err := first(wants(sarama.ErrNonEmptyGroup, a.DeleteConsumerGroup(group)), s.end()); err != nil {
			return err
		}
		left, err := a.RemoveMemberFromConsumerGroup(group, []string{"i"})
		if err := first(err, equal(sarama.ErrNoError, left.Err, "error"), a.DeleteConsumerGroup(group)); err != nil {
			return err
		}
		return wants(sarama.ErrGroupIDNotFound, a.DeleteConsumerGroup(group))
	})
}

func saramaGroupOffsets(ctx context.Context) error {
	s, err := saramaGroups.scene(ctx, bootstrap, 2)
	if err != nil {
		return err
	}
	t, group := s.usual.topic, s.usual.group
	return withSarama(func(a sarama.ClusterAdmin) error {
		altered, err := a.AlterConsumerGroupOffsets(group, map[string]map[int32]sarama.OffsetAndMetadata{
			t: {0: {Offset: 5, Metadata: "five"}, 1: {Offset: 6}}}, nil)
		if err := first(err, equal(sarama.ErrNoError, altered.Errors[t][0], "error")); err != nil {
			return err
		}
		batch, err := a.ListConsumerGroupOffsetsBatch(map[string]map[string][]int32{group: nil, "no-such-group": nil})
		if err != nil {
			return err
		}
		five, six := batch[group].Blocks[t][0], batch[group].Blocks[t][1]
		if err := first(equal(5, five.Offset, "offset"), equal("five", five.Metadata, "metadata"), equal(6, six.Offset, "offset"),
			equal(0, len(batch["no-such-group"].Blocks), "topics of an absent group")); err != nil {
			return err
		}
		if err := a.DeleteConsumerGroupOffset(group, t, 0); err != nil {
			return err
		}
		some, err := a.ListConsumerGroupOffsets(group, map[string][]int32{t: {0, 1}})
		if err != nil {
			return err
		}
		if err := first(equal(-1, some.GetGroupBlock(group, t, 0).Offset, "deleted offset"),
			equal(6, some.GetGroupBlock(group, t, 1).Offset, "the other offset"), s.joins(ctx, 1, nil)); err != nil {
			return err
		}
		return first(wants(sarama.ErrGroupSubscribedToTopic, a.DeleteConsumerGroupOffset(group, t, 1)), s.end())
	})
}
