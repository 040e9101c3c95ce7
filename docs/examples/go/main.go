// franz-go: produce three records, then read the partition from its beginning.
//
//	go run .
//
// Without kgo.ConsumerGroup the client reads the partitions itself; group/main.go is a member of a consumer group.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	bootstrap := os.Getenv("BOOTSTRAP")
	if bootstrap == "" {
		bootstrap = "localhost:9092"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()

	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.AllowAutoTopicCreation(),
		kgo.ConsumeTopics("gophers"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	must(err)
	defer client.Close()

	// Idempotent and acks=all, as franz-go does by itself.
	var last int64
	for _, name := range []string{"Rob", "Ken", "Robert"} {
		results := client.ProduceSync(ctx, &kgo.Record{Topic: "gophers", Value: []byte(name)})
		must(results.FirstErr())
		last = results[0].Record.Offset
		fmt.Printf("%s is at offset %d\n", name, last)
	}

	for done := false; !done; {
		fetches := client.PollFetches(ctx)
		must(fetches.Err0())
		fetches.EachRecord(func(r *kgo.Record) {
			fmt.Printf("read offset %d: %s\n", r.Offset, r.Value)
			done = done || r.Offset == last
		})
	}
}
