// franz-go: a member of a consumer group. Start it twice, and see the partitions shared; Ctrl-C has it leave.
//
//	go run ./group
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const topic = "burrows"

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// say prints what the member is given, or gives back.
func say(what string) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
		fmt.Println(what, partitions[topic])
	}
}

func main() {
	bootstrap := os.Getenv("BOOTSTRAP")
	if bootstrap == "" {
		bootstrap = "localhost:9092"
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.ConsumerGroup("gophers"),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(say("given")),
		kgo.OnPartitionsRevoked(say("gives back")),
		kgo.OnPartitionsLost(say("has lost")),
		kgo.DisableAutoCommit(),    // it commits what it has worked on ...
		kgo.BlockRebalanceOnPoll(), // ... before a partition may go to another member
	)
	must(err)
	defer client.CloseAllowingRebalance() // leaves the group

	_, err = kadm.NewClient(client).CreateTopic(ctx, 4, 1, nil, topic)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		must(err)
	}
	go dig(ctx, client)

	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		must(fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			fmt.Printf("partition %d, offset %d: %s\n", r.Partition, r.Offset, r.Value)
		})
		must(client.CommitUncommittedOffsets(ctx))
		client.AllowRebalance()
	}
}

// dig produces a record every half second.
func dig(ctx context.Context, client *kgo.Client) {
	for i := 1; ctx.Err() == nil; i++ {
		value := fmt.Sprintf("burrow %d of process %d", i, os.Getpid())
		client.Produce(ctx, &kgo.Record{Topic: topic, Key: []byte(fmt.Sprint(i)), Value: []byte(value)}, nil)
		time.Sleep(500 * time.Millisecond)
	}
}
