package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

func segmentioCases() {
	check("kafka-go: Conn: write and read batches", segmentioConn)
	check("kafka-go: Conn: offsets and seeking", segmentioSeek)
	check("kafka-go: Conn: create, list and delete topics", segmentioTopics)
	for _, c := range []kafka.Compression{0, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd} {
		name := "none"
		if c != 0 {
			name = c.String()
		}
		check("kafka-go: Writer and Reader: "+name, func(ctx context.Context) error {
			return segmentioRoundTrip(ctx, c)
		})
	}
	check("kafka-go: Writer with acks 1 and 0", segmentioAcks)
	check("kafka-go: Reader waits for the next record", segmentioTail)
	check("kafka-go: Client: metadata, versions, offsets, configs", segmentioClient)
}

func segmentioDial(ctx context.Context, t string) (*kafka.Conn, error) {
	c, err := kafka.DialLeader(ctx, "tcp", bootstrap, t, 0)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(20 * time.Second))
	}
	return c, err
}

// segmentioTransport is one that knows nothing yet: the default one would remember the topics of the case before.
func segmentioTransport() *kafka.Transport {
	return &kafka.Transport{}
}

// segmentioWrite sends n records to partition 0 over one connection.
func segmentioWrite(c *kafka.Conn, n int) error {
	for i := 0; i < n; i += 10 {
		var m []kafka.Message
		for j := i; j < i+10 && j < n; j++ {
			m = append(m, kafka.Message{Key: key(j), Value: payload(j), Time: stamp(j)})
		}
		if _, err := c.WriteMessages(m...); err != nil {
			return err
		}
	}
	return nil
}

func segmentioConn(ctx context.Context) error {
	const n = 100
	t, err := topic(ctx, "segmentio", 1, nil)
	if err != nil {
		return err
	}
	c, err := segmentioDial(ctx, t)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := segmentioWrite(c, n); err != nil {
		return err
	}
	batch := c.ReadBatch(1, 1<<20)
	for i := 0; i < n; {
		m, err := batch.ReadMessage()
		if errors.Is(err, io.EOF) { // the end of this answer, not of the log
			if err := batch.Close(); err != nil {
				return err
			}
			batch = c.ReadBatch(1, 1<<20)
			continue
		}
		if err != nil {
			return err
		}
		if !bytes.Equal(m.Value, payload(i)) || !m.Time.Equal(stamp(i)) || m.Offset != int64(i) {
			return fmt.Errorf("record %d came back different", i)
		}
		i++
	}
	return batch.Close()
}

func segmentioSeek(ctx context.Context) error {
	t, err := topic(ctx, "segmentio", 1, nil)
	if err != nil {
		return err
	}
	c, err := segmentioDial(ctx, t)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := segmentioWrite(c, 50); err != nil {
		return err
	}
	begin, end, err := c.ReadOffsets()
	if err := first(err, equal(0, begin, "first offset"), equal(50, end, "last offset")); err != nil {
		return err
	}
	at, err := c.ReadOffset(stamp(30))
	if err := first(err, equal(30, at, "offset by time")); err != nil {
		return err
	}
	if _, err := c.Seek(42, kafka.SeekAbsolute); err != nil {
		return err
	}
	m, err := c.ReadMessage(1 << 20)
	return first(err, equal(42, m.Offset, "offset after seeking"), equal(string(payload(42)), string(m.Value), "value"))
}

func segmentioTopics(_ context.Context) error {
	c, err := kafka.Dial("tcp", bootstrap)
	if err != nil {
		return err
	}
	defer c.Close()
	controller, err := c.Controller()
	if err != nil {
		return err
	}
	if err := equal(bootstrap, net.JoinHostPort(controller.Host, fmt.Sprint(controller.Port)), "controller"); err != nil {
		return err
	}
	t := topicName("segmentio")
	if err := c.CreateTopics(kafka.TopicConfig{Topic: t, NumPartitions: 3, ReplicationFactor: 1}); err != nil {
		return err
	}
	settle()
	parts, err := c.ReadPartitions(t)
	if err := first(err, equal(3, len(parts), "partitions")); err != nil {
		return err
	}
	if err := c.DeleteTopics(t); err != nil {
		return err
	}
	settle()
	all, err := c.ReadPartitions()
	for _, p := range all {
		if p.Topic == t {
			return errors.New("the deleted topic is still listed")
		}
	}
	return err
}

func segmentioRoundTrip(ctx context.Context, codec kafka.Compression) error {
	const n = 300
	t, err := topic(ctx, "segmentio", 1, nil)
	if err != nil {
		return err
	}
	w := &kafka.Writer{Addr: kafka.TCP(bootstrap), Transport: segmentioTransport(), Topic: t, Compression: codec, RequiredAcks: kafka.RequireAll,
		BatchTimeout: 5 * time.Millisecond}
	defer w.Close()
	var sent []kafka.Message
	for i := 0; i < n; i++ {
		sent = append(sent, kafka.Message{Key: key(i), Value: payload(i), Time: stamp(i),
			Headers: []kafka.Header{{Key: "i", Value: []byte(fmt.Sprint(i))}}})
	}
	if err := w.WriteMessages(ctx, sent...); err != nil {
		return err
	}
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{bootstrap}, Topic: t, MaxWait: 500 * time.Millisecond})
	defer r.Close()
	for i := 0; i < n; i++ {
		m, err := r.ReadMessage(ctx)
		if err != nil {
			return err
		}
		if !bytes.Equal(m.Key, key(i)) || !bytes.Equal(m.Value, payload(i)) || !m.Time.Equal(stamp(i)) {
			return fmt.Errorf("record %d came back different", i)
		}
		if err := first(equal(int64(i), m.Offset, "offset"), equal(1, len(m.Headers), "headers")); err != nil {
			return err
		}
	}
	return nil
}

func segmentioAcks(ctx context.Context) error {
	t, err := topic(ctx, "segmentio", 1, nil)
	if err != nil {
		return err
	}
	for _, acks := range []kafka.RequiredAcks{kafka.RequireOne, kafka.RequireNone} {
		w := &kafka.Writer{Addr: kafka.TCP(bootstrap), Transport: segmentioTransport(), Topic: t, RequiredAcks: acks, BatchTimeout: time.Millisecond}
		for i := 0; i < 20; i++ {
			if err := w.WriteMessages(ctx, kafka.Message{Value: payload(i)}); err != nil {
				return err
			}
		}
		if err := w.Close(); err != nil {
			return err
		}
	}
	_, err = franzRead(ctx, t, 0, kgo.NewOffset().AtStart(), 40)
	return err
}

func segmentioTail(ctx context.Context) error {
	t, err := topic(ctx, "segmentio", 1, nil)
	if err != nil {
		return err
	}
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{bootstrap}, Topic: t, MinBytes: 1,
		MaxBytes: 1 << 20, MaxWait: 2 * time.Second})
	defer r.Close()
	w := &kafka.Writer{Addr: kafka.TCP(bootstrap), Transport: segmentioTransport(), Topic: t, BatchTimeout: time.Millisecond}
	defer w.Close()
	for i := 0; i < 10; i++ {
		if err := w.WriteMessages(ctx, kafka.Message{Value: payload(i)}); err != nil {
			return err
		}
		m, err := r.ReadMessage(ctx)
		if err := first(err, equal(string(payload(i)), string(m.Value), "value")); err != nil {
			return err
		}
	}
	return nil
}

func segmentioClient(ctx context.Context) error {
	t, err := topic(ctx, "segmentio", 2, nil)
	if err != nil {
		return err
	}
	c := &kafka.Client{Addr: kafka.TCP(bootstrap), Timeout: 15 * time.Second}
	versions, err := c.ApiVersions(ctx, &kafka.ApiVersionsRequest{})
	if err := first(err, versions.Error); err != nil {
		return err
	}
	m, err := c.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{t}})
	if err := first(err, equal(1, len(m.Topics), "topics"), equal(2, len(m.Topics[0].Partitions), "partitions")); err != nil {
		return err
	}
	o, err := c.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{
		t: {kafka.FirstOffsetOf(0), kafka.LastOffsetOf(0)}}})
	if err := first(err, equal(0, o.Topics[t][0].LastOffset, "last offset")); err != nil {
		return err
	}
	d, err := c.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: t, ConfigNames: []string{"cleanup.policy"}}}})
	if err != nil {
		return err
	}
	return first(d.Resources[0].Error, equal(1, len(d.Resources[0].ConfigEntries), "configs"),
		equal("delete", d.Resources[0].ConfigEntries[0].ConfigValue, "cleanup.policy"))
}
