// Three Go clients that share no code against one broker: franz-go, segmentio/kafka-go and sarama.
//
//	suite HOST:PORT
//
// runs the cases (CASE=text: those whose name holds the text), prints a line for each, and exits with 1 where one failed.
package main

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	bootstrap    string
	word         = os.Getenv("CASE")
	failed       int
	names        atomic.Int64
	memberNumber atomic.Int64
	run          = strconv.FormatInt(time.Now().UnixMilli()%100_000_000, 36)
)

// places are for cases that run beside each other; nil: one after the other.
var (
	places  chan bool
	running sync.WaitGroup
)

// together runs cases that mostly wait, six at a time.
func together(cases func()) {
	places = make(chan bool, 6)
	cases()
	running.Wait()
	places = nil
}

// check runs one case, which fails by returning an error, within 30 seconds.
func check(name string, f func(ctx context.Context) error) {
	if !strings.Contains(name, word) {
		return
	}
	if places == nil {
		runCase(name, f)
		return
	}
	places <- true
	running.Add(1)
	go func() {
		defer func() { <-places; running.Done() }()
		runCase(name, f)
	}()
}

var saying sync.Mutex

func runCase(name string, f func(ctx context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := f(ctx)
	saying.Lock()
	defer saying.Unlock()
	if err != nil {
		failed++
		fmt.Printf("not ok - %s\n# %v\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Printf("ok - %s\n", name)
}

// settle waits where the broker is an Apache Kafka (SETTLE=500ms), which answers before a change of topics has reached
// all that serves them. Here nothing may need it.
func settle() {
	if d, err := time.ParseDuration(os.Getenv("SETTLE")); err == nil {
		time.Sleep(d)
	}
}

// topicName gives a name that no other run or case has.
func topicName(stem string) string {
	return fmt.Sprintf("go-%s-%s-%d", stem, run, names.Add(1))
}

// equal is an error where the two differ.
func equal[T comparable](want, got T, what string) error {
	if want != got {
		return fmt.Errorf("%s: expected %v, was %v", what, want, got)
	}
	return nil
}

// first gives the first error of several.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// payload is the value of the i-th record: text and noise of different lengths, the same in every run.
func payload(i int) []byte {
	r := rand.New(rand.NewSource(int64(i)))
	noise := make([]byte, r.Intn(1500))
	r.Read(noise)
	return append([]byte(fmt.Sprintf("value %d ", i)), noise...)
}

func key(i int) []byte {
	return []byte(fmt.Sprintf("key %d", i%10))
}

// firstStamp is an hour ago: older records might meet the retention time.
var firstStamp = time.Now().Add(-time.Hour).UnixMilli()

// stamp is the timestamp of the i-th record.
func stamp(i int) time.Time {
	return time.UnixMilli(firstStamp + int64(i))
}

func main() {
	bootstrap = os.Args[1]
	franzCases()
	segmentioCases()
	saramaCases()
	together(func() {
		groupCases(franzGroups, saramaGroups, segmentioGroups)
		franzGroupCases()
		saramaGroupCases()
		segmentioGroupCases()
	})
	if failed > 0 {
		os.Exit(1)
	}
}
