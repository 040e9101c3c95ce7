package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

func saramaCases() {
	// What the client may use follows from the version that it is told: old ones take other request versions.
	for _, v := range []sarama.KafkaVersion{sarama.V0_11_0_0, sarama.V1_0_0_0, sarama.V2_1_0_0, sarama.MaxVersion} {
		codecs := []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy,
			sarama.CompressionLZ4}
		if v.IsAtLeast(sarama.V2_1_0_0) {
			codecs = append(codecs, sarama.CompressionZSTD)
		}
		for _, c := range codecs {
			check(fmt.Sprintf("sarama: as %v: records come back as sent: %v", v, c), func(ctx context.Context) error {
				return saramaRoundTrip(ctx, v, c)
			})
		}
	}
	check("sarama: idempotent producer", saramaIdempotent)
	check("sarama: offsets by time, from the end, out of range", saramaOffsets)
	check("sarama: ClusterAdmin: topics and configs", saramaAdmin)
}

func saramaConfig(v sarama.KafkaVersion) *sarama.Config {
	c := sarama.NewConfig()
	c.Version = v
	c.Producer.Return.Successes = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Consumer.Return.Errors = true
	return c
}

func saramaProduce(t string, n int, conf *sarama.Config) error {
	p, err := sarama.NewSyncProducer([]string{bootstrap}, conf)
	if err != nil {
		return err
	}
	defer p.Close()
	var sent []*sarama.ProducerMessage
	for i := 0; i < n; i++ {
		sent = append(sent, &sarama.ProducerMessage{Topic: t, Key: sarama.ByteEncoder(key(i)),
			Value: sarama.ByteEncoder(payload(i)), Timestamp: stamp(i),
			Headers: []sarama.RecordHeader{{Key: []byte("i"), Value: []byte(fmt.Sprint(i))}}})
	}
	if err := p.SendMessages(sent); err != nil {
		return err
	}
	for i, m := range sent {
		if err := equal(int64(i), m.Offset, "offset"); err != nil {
			return err
		}
	}
	return nil
}

func saramaRead(ctx context.Context, t string, from int64, n int, conf *sarama.Config) ([]*sarama.ConsumerMessage, error) {
	c, err := sarama.NewConsumer([]string{bootstrap}, conf)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	p, err := c.ConsumePartition(t, 0, from)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	var got []*sarama.ConsumerMessage
	for len(got) < n {
		select {
		case m := <-p.Messages():
			got = append(got, m)
		case err := <-p.Errors():
			return nil, err
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d records came", len(got), n)
		}
	}
	return got, nil
}

func saramaRoundTrip(ctx context.Context, v sarama.KafkaVersion, codec sarama.CompressionCodec) error {
	const n = 200
	t, err := topic(ctx, "sarama", 1, nil)
	if err != nil {
		return err
	}
	conf := saramaConfig(v)
	conf.Producer.Compression = codec
	if err := saramaProduce(t, n, conf); err != nil {
		return err
	}
	got, err := saramaRead(ctx, t, sarama.OffsetOldest, n, conf)
	if err != nil {
		return err
	}
	for i, m := range got {
		if !bytes.Equal(m.Key, key(i)) || !bytes.Equal(m.Value, payload(i)) || !m.Timestamp.Equal(stamp(i)) {
			return fmt.Errorf("record %d came back different", i)
		}
		if err := first(equal(int64(i), m.Offset, "offset"), equal(1, len(m.Headers), "headers")); err != nil {
			return err
		}
	}
	return nil
}

func saramaIdempotent(ctx context.Context) error {
	t, err := topic(ctx, "sarama", 1, nil)
	if err != nil {
		return err
	}
	conf := saramaConfig(sarama.V2_1_0_0)
	conf.Producer.Idempotent = true
	conf.Net.MaxOpenRequests = 1
	conf.Producer.Flush.MaxMessages = 50
	if err := saramaProduce(t, 1000, conf); err != nil {
		return err
	}
	got, err := saramaRead(ctx, t, sarama.OffsetOldest, 1000, conf)
	for i, m := range got {
		if err := equal(string(payload(i)), string(m.Value), "value"); err != nil {
			return err
		}
	}
	return err
}

func saramaOffsets(ctx context.Context) error {
	t, err := topic(ctx, "sarama", 1, nil)
	if err != nil {
		return err
	}
	conf := saramaConfig(sarama.V2_1_0_0)
	if err := saramaProduce(t, 50, conf); err != nil {
		return err
	}
	c, err := sarama.NewClient([]string{bootstrap}, conf)
	if err != nil {
		return err
	}
	defer c.Close()
	oldest, err := c.GetOffset(t, 0, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	newest, err := c.GetOffset(t, 0, sarama.OffsetNewest)
	if err != nil {
		return err
	}
	byTime, err := c.GetOffset(t, 0, stamp(30).UnixMilli())
	if err := first(err, equal(0, oldest, "oldest"), equal(50, newest, "newest"), equal(30, byTime, "by time")); err != nil {
		return err
	}
	if _, err := saramaRead(ctx, t, 45, 5, conf); err != nil {
		return err
	}
	if _, err := saramaRead(ctx, t, 500, 1, conf); !errors.Is(err, sarama.ErrOffsetOutOfRange) {
		return fmt.Errorf("expected OFFSET_OUT_OF_RANGE, was %v", err)
	}
	return nil
}

func saramaAdmin(_ context.Context) error {
	a, err := sarama.NewClusterAdmin([]string{bootstrap}, saramaConfig(sarama.V2_1_0_0))
	if err != nil {
		return err
	}
	defer a.Close()
	t := topicName("sarama")
	retention := "1000000"
	if err := a.CreateTopic(t, &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1,
		ConfigEntries: map[string]*string{"retention.ms": &retention}}, false); err != nil {
		return err
	}
	settle()
	if err := a.CreatePartitions(t, 4, nil, false); err != nil {
		return err
	}
	settle()
	m, err := a.DescribeTopics([]string{t})
	if err := first(err, equal(4, len(m[0].Partitions), "partitions")); err != nil {
		return err
	}
	entries, err := a.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: t,
		ConfigNames: []string{"retention.ms"}})
	if err := first(err, equal(1, len(entries), "configs"), equal(retention, entries[0].Value, "retention.ms")); err != nil {
		return err
	}
	brokers, controller, err := a.DescribeCluster()
	if err := first(err, equal(1, len(brokers), "brokers"), equal(brokers[0].ID(), controller, "controller")); err != nil {
		return err
	}
	if err := a.DeleteTopic(t); err != nil {
		return err
	}
	settle()
	topics, err := a.ListTopics()
	_, there := topics[t]
	return first(err, equal(false, there, "the deleted topic is still listed"))
}
