package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func franzCases() {
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	for _, name := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		check("franz-go: records come back as sent: "+name, func(ctx context.Context) error {
			return franzRoundTrip(ctx, codecs[name])
		})
	}
	check("franz-go: acks=1 and acks=0 without idempotence", franzAcks)
	check("franz-go: 50,000 records over 4 partitions, in order", franzVolume)
	check("franz-go: start at an offset, relative, by time and at the end", franzOffsets)
	check("franz-go: a waiting fetch is woken by a record", franzWoken)
	check("franz-go: a record over max.message.bytes is refused", franzTooLarge)
	check("franz-go: kadm: topics created, described, listed, grown, deleted", franzAdmin)
	check("franz-go: kadm: configs and cluster", franzDescribe)
	check("franz-go: kadm: offsets listed", franzListOffsets)
}

func franzClient(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(bootstrap),
		kgo.RecordPartitioner(kgo.ManualPartitioner())}, opts...)...)
}

// with gives f an admin client of its own.
func with(f func(a *kadm.Client) error) error {
	c, err := franzClient()
	if err != nil {
		return err
	}
	defer c.Close()
	return f(kadm.NewClient(c))
}

// createAt creates a topic at another broker than that of the suite.
func createAt(ctx context.Context, address, t string, partitions int32) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = kadm.NewClient(c).CreateTopic(ctx, partitions, 1, nil, t)
	settle()
	return err
}

// topic creates one, for all three clients' cases.
func topic(ctx context.Context, stem string, partitions int32, configs map[string]*string) (string, error) {
	t := topicName(stem)
	return t, with(func(a *kadm.Client) error {
		_, err := a.CreateTopic(ctx, partitions, 1, configs, t)
		settle()
		return err
	})
}

// franzProduce sends n records to partition 0 and checks the offsets that come back.
func franzProduce(ctx context.Context, t string, n int, opts ...kgo.Opt) error {
	c, err := franzClient(opts...)
	if err != nil {
		return err
	}
	defer c.Close()
	var records []*kgo.Record
	for i := 0; i < n; i++ {
		records = append(records, &kgo.Record{Topic: t, Key: key(i), Value: payload(i), Timestamp: stamp(i),
			Headers: []kgo.RecordHeader{{Key: "i", Value: []byte(fmt.Sprint(i))}, {Key: "empty"}}})
	}
	results := c.ProduceSync(ctx, records...)
	if err := results.FirstErr(); err != nil {
		return err
	}
	for i, r := range records {
		if err := equal(int64(i), r.Offset, "offset"); err != nil {
			return err
		}
	}
	return nil
}

// franzRead reads n records of a partition from where `at` says.
func franzRead(ctx context.Context, t string, p int32, at kgo.Offset, n int, opts ...kgo.Opt) ([]*kgo.Record, error) {
	c, err := franzClient(append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{t: {p: at}}))...)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var got []*kgo.Record
	for len(got) < n {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("after %d of %d records: %w", len(got), n, err)
		}
		got = append(got, fetches.Records()...)
	}
	return got, equal(n, len(got), "records")
}

func franzRoundTrip(ctx context.Context, codec kgo.CompressionCodec) error {
	const n = 500
	t, err := topic(ctx, "franz", 1, nil)
	if err != nil {
		return err
	}
	if err := franzProduce(ctx, t, n, kgo.ProducerBatchCompression(codec)); err != nil {
		return err
	}
	got, err := franzRead(ctx, t, 0, kgo.NewOffset().AtStart(), n)
	if err != nil {
		return err
	}
	for i, r := range got {
		if !bytes.Equal(r.Key, key(i)) || !bytes.Equal(r.Value, payload(i)) {
			return fmt.Errorf("record %d came back different", i)
		}
		if err := first(equal(int64(i), r.Offset, "offset"), equal(stamp(i), r.Timestamp, "timestamp"),
			equal(2, len(r.Headers), "headers"), equal(fmt.Sprint(i), string(r.Headers[0].Value), "header")); err != nil {
			return err
		}
	}
	return nil
}

func franzAcks(ctx context.Context) error {
	t, err := topic(ctx, "franz", 1, nil)
	if err != nil {
		return err
	}
	if err := franzProduce(ctx, t, 50, kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck())); err != nil {
		return err
	}
	c, err := franzClient(kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.NoAck()))
	if err != nil {
		return err
	}
	defer c.Close()
	for i := 0; i < 50; i++ {
		if err := c.ProduceSync(ctx, &kgo.Record{Topic: t, Value: payload(i)}).FirstErr(); err != nil {
			return err
		}
	}
	_, err = franzRead(ctx, t, 0, kgo.NewOffset().AtStart(), 100)
	return err
}

func franzVolume(ctx context.Context) error {
	const n, partitions = 50_000, 4
	t, err := topic(ctx, "franz", partitions, nil)
	if err != nil {
		return err
	}
	c, err := franzClient()
	if err != nil {
		return err
	}
	defer c.Close()
	failure := make(chan error, n)
	for i := 0; i < n; i++ {
		r := &kgo.Record{Topic: t, Partition: int32(i % partitions), Value: []byte(fmt.Sprint(i))}
		c.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				failure <- err
			}
		})
	}
	if err := c.Flush(ctx); err != nil {
		return err
	}
	select {
	case err := <-failure:
		return err
	default:
	}
	for p := int32(0); p < partitions; p++ {
		got, err := franzRead(ctx, t, p, kgo.NewOffset().AtStart(), n/partitions)
		if err != nil {
			return err
		}
		for i, r := range got {
			if err := equal(fmt.Sprint(i*partitions+int(p)), string(r.Value), "value"); err != nil {
				return err
			}
		}
	}
	return nil
}

func franzOffsets(ctx context.Context) error {
	t, err := topic(ctx, "franz", 1, nil)
	if err != nil {
		return err
	}
	if err := franzProduce(ctx, t, 100); err != nil {
		return err
	}
	starts := []struct {
		at   kgo.Offset
		want int64
	}{
		{kgo.NewOffset().At(37), 37},
		{kgo.NewOffset().AtStart().Relative(5), 5},
		{kgo.NewOffset().AtEnd().Relative(-3), 97},
		{kgo.NewOffset().AfterMilli(stamp(60).UnixMilli()), 60},
		{kgo.NewOffset().At(5000), 0}, // out of range: reset to the start, as the client is told below
	}
	for _, s := range starts {
		for _, level := range []kgo.IsolationLevel{kgo.ReadUncommitted(), kgo.ReadCommitted()} {
			got, err := franzRead(ctx, t, 0, s.at, 100-int(s.want), kgo.FetchIsolationLevel(level),
				kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			if err != nil {
				return err
			}
			if err := equal(s.want, got[0].Offset, "first offset"); err != nil {
				return err
			}
		}
	}
	return nil
}

func franzWoken(ctx context.Context) error {
	t, err := topic(ctx, "franz", 1, nil)
	if err != nil {
		return err
	}
	c, err := franzClient(kgo.FetchMaxWait(10*time.Second),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{t: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		return err
	}
	defer c.Close()
	sent := make(chan time.Time, 1)
	go func() {
		time.Sleep(500 * time.Millisecond) // the fetch is to be waiting by then; sooner would only be easier
		if franzProduce(ctx, t, 1) == nil {
			sent <- time.Now()
		}
	}()
	fetches := c.PollFetches(ctx)
	if err := fetches.Err(); err != nil {
		return err
	}
	select {
	case at := <-sent:
		if late := time.Since(at); late > 1500*time.Millisecond {
			return fmt.Errorf("came %v after it was acknowledged", late)
		}
	case <-time.After(5 * time.Second):
		return errors.New("the record was read, but never acknowledged")
	}
	return equal(1, fetches.NumRecords(), "records")
}

func franzTooLarge(ctx context.Context) error {
	t, err := topic(ctx, "franz", 1, map[string]*string{"max.message.bytes": kadm.StringPtr("5000")})
	if err != nil {
		return err
	}
	c, err := franzClient(kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		return err
	}
	defer c.Close()
	err = c.ProduceSync(ctx, &kgo.Record{Topic: t, Value: make([]byte, 6000)}).FirstErr()
	if !errors.Is(err, kerr.MessageTooLarge) {
		return fmt.Errorf("expected MESSAGE_TOO_LARGE, was %v", err)
	}
	return c.ProduceSync(ctx, &kgo.Record{Topic: t, Value: make([]byte, 4000)}).FirstErr()
}

func franzAdmin(ctx context.Context) error {
	t, u := topicName("kadm"), topicName("kadm")
	return with(func(a *kadm.Client) error {
		created, err := a.CreateTopics(ctx, -1, -1, nil, t)
		if err := first(err, created[t].Err); err != nil {
			return err
		}
		if _, err := a.CreateTopic(ctx, 3, 1, map[string]*string{"retention.ms": kadm.StringPtr("1000000")}, u); err != nil {
			return err
		}
		settle()
		if _, err := a.CreateTopic(ctx, 1, 1, nil, t); !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("expected TOPIC_ALREADY_EXISTS, was %v", err)
		}
		listed, err := a.ListTopics(ctx, t, u)
		if err := first(err, listed.Error(), equal(1, len(listed[t].Partitions), "partitions"),
			equal(3, len(listed[u].Partitions), "partitions"), equal(created[t].ID, listed[t].ID, "topic id")); err != nil {
			return err
		}
		grown, err := a.UpdatePartitions(ctx, 5, t)
		if err := first(err, grown.Error()); err != nil {
			return err
		}
		settle()
		listed, err = franzFreshList(ctx)
		if err := first(err, equal(5, len(listed[t].Partitions), "partitions after growing")); err != nil {
			return err
		}
		deleted, err := a.DeleteTopics(ctx, t, u)
		if err := first(err, deleted.Error()); err != nil {
			return err
		}
		settle()
		listed, err = franzFreshList(ctx)
		return first(err, equal(false, listed.Has(t) || listed.Has(u), "deleted topics still listed"))
	})
}

// franzFreshList lists all topics over a new client, since one that asked a moment ago would show what it remembers.
func franzFreshList(ctx context.Context) (listed kadm.TopicDetails, err error) {
	err = with(func(a *kadm.Client) error {
		listed, err = a.ListTopics(ctx)
		return err
	})
	return listed, err
}

func franzDescribe(ctx context.Context) error {
	t, err := topic(ctx, "kadm", 1, map[string]*string{"retention.ms": kadm.StringPtr("1000000")})
	if err != nil {
		return err
	}
	return with(func(a *kadm.Client) error {
		configs, err := a.DescribeTopicConfigs(ctx, t)
		if err != nil {
			return err
		}
		c, err := configs.On(t, nil)
		if err := first(err, c.Err); err != nil {
			return err
		}
		found := ""
		for _, entry := range c.Configs {
			if entry.Key == "retention.ms" {
				found = entry.MaybeValue()
			}
		}
		m, err := a.BrokerMetadata(ctx)
		return first(err, equal("1000000", found, "retention.ms"), equal(1, len(m.Brokers), "brokers"),
			equal(bootstrap, fmt.Sprintf("%s:%d", m.Brokers[0].Host, m.Brokers[0].Port), "address"),
			equal(m.Brokers[0].NodeID, m.Controller, "controller"))
	})
}

func franzListOffsets(ctx context.Context) error {
	t, err := topic(ctx, "kadm", 2, nil)
	if err != nil {
		return err
	}
	if err := franzProduce(ctx, t, 20); err != nil {
		return err
	}
	return with(func(a *kadm.Client) error {
		begin, err := a.ListStartOffsets(ctx, t)
		if err := first(err, begin.Error()); err != nil {
			return err
		}
		end, err := a.ListEndOffsets(ctx, t)
		if err := first(err, end.Error()); err != nil {
			return err
		}
		committed, err := a.ListCommittedOffsets(ctx, t)
		if err := first(err, committed.Error()); err != nil {
			return err
		}
		after, err := a.ListOffsetsAfterMilli(ctx, stamp(7).UnixMilli(), t)
		if err := first(err, after.Error()); err != nil {
			return err
		}
		return first(equal(0, begin[t][0].Offset, "start"), equal(20, end[t][0].Offset, "end"),
			equal(0, end[t][1].Offset, "end of the empty partition"), equal(20, committed[t][0].Offset, "last stable"),
			equal(7, after[t][0].Offset, "by time"))
	})
}
