package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// groupClient is a client as the cases about groups see it.
type groupClient struct {
	name       string
	strategies []string
	instances  bool // knows static members
	unsure     bool // does not say whether its commits succeeded
	steady     bool // joins again only when it is told to, not whenever a connection breaks
	// join starts a member, which goes on until it leaves or vanishes.
	join func(ctx context.Context, l *ledger, o joining) (*member, error)
}

// joining is what a member is told. Zero values: the usual.
type joining struct {
	name, address, group, topic, strategy, instance string
	session                                         time.Duration
}

func groupCases(clients ...groupClient) {
	for _, c := range clients {
		check(c.name+": group: three members read all once and in order; three others go on", c.three)
		for _, s := range c.strategies {
			check(c.name+": group: members come and go while records are written: "+s, func(ctx context.Context) error {
				return c.comeAndGo(ctx, s)
			})
		}
		check(c.name+": group: a member that vanishes is missed after its session", c.vanishes)
		if c.instances {
			check(c.name+": group: a static member starts again, and nobody notices", c.restart)
		}
		if os.Getenv("BROKER") == "" {
			fmt.Printf("ok - %s: group: workers are killed # SKIP the variable BROKER names no broker to start\n", c.name)
			continue
		}
		if c.steady {
			check(c.name+": group: every worker is killed, without a rebalance", c.stable)
		} else {
			check(c.name+": group: every worker is killed, and nothing is lost", c.stable)
		}
		check(c.name+": group: its worker is killed in each of five rebalances", c.rebalancing)
	}
}

// await asks until it holds.
func await(ctx context.Context, what string, holds func() bool) error {
	for !holds() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("not in time: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// scene is a group, its topic, its members of now and their ledger.
type scene struct {
	client  groupClient
	ledger  *ledger
	usual   joining
	parts   int
	members []*member
}

func (c groupClient) scene(ctx context.Context, address string, parts int) (*scene, error) {
	t := topicName("group")
	s := &scene{client: c, ledger: newLedger(), parts: parts,
		usual: joining{address: address, group: t, topic: t, session: 10 * time.Second}}
	return s, createAt(ctx, address, t, int32(parts))
}

// join adds a member.
func (s *scene) join(ctx context.Context, change func(*joining)) error {
	names := s.usual
	names.name = fmt.Sprintf("member %d", memberNumber.Add(1))
	if change != nil {
		change(&names)
	}
	m, err := s.client.join(ctx, s.ledger, names)
	if err == nil {
		s.members = append(s.members, m)
	}
	return err
}

// leave has the i-th member leave.
func (s *scene) leave(i int) error {
	m := s.members[i]
	s.members = slices.Delete(s.members, i, i+1)
	m.leave()
	return m.failure()
}

// shared waits until the members have all partitions among them, in shares that differ by one at most, and all were told
// so: a member whose share stays as it was may hear of a rebalance after the one that it was made for.
func (s *scene) shared(ctx context.Context) error {
	n := len(s.members)
	var failure error
	err := await(ctx, fmt.Sprintf("%d members share %d partitions", n, s.parts), func() bool {
		for _, m := range s.members {
			if failure = m.failure(); failure != nil {
				return true
			}
		}
		all := 0
		for _, share := range shares(s.members) {
			all += len(share)
			if len(share) < s.parts/n || len(share) > (s.parts+n-1)/n {
				return false
			}
		}
		return all == s.parts && inOneGeneration(s.members)
	})
	return first(failure, err)
}

// joins adds members one after the other, and waits until they share.
func (s *scene) joins(ctx context.Context, n int, change func(i int, o *joining)) error {
	for i := 0; i < n; i++ {
		if err := s.join(ctx, func(o *joining) {
			if change != nil {
				change(i, o)
			}
		}); err != nil {
			return err
		}
	}
	return s.shared(ctx)
}

// read waits until so many records were read in all.
func (s *scene) read(ctx context.Context, n int) error {
	if err := await(ctx, fmt.Sprintf("%d records are read", n), func() bool { return s.ledger.count() >= n }); err != nil {
		return fmt.Errorf("%w (%d were; %v)", err, s.ledger.count(), s.ledger.check())
	}
	return equal(n, s.ledger.count(), "records read")
}

// end has all leave, and looks into the ledger.
func (s *scene) end() error {
	var wait sync.WaitGroup
	for _, m := range s.members {
		wait.Add(1)
		go func() {
			defer wait.Done()
			m.leave()
		}()
	}
	wait.Wait()
	for _, m := range s.members {
		if err := m.failure(); err != nil {
			return err
		}
	}
	s.members = nil
	return s.ledger.check()
}

func (s *scene) histories() (out [][2]int) {
	for _, m := range s.members {
		out = append(out, m.history())
	}
	return out
}

// writer sends a record every millisecond or so, to each partition in turn, until it is asked to finish.
type writer struct {
	stop   chan struct{}
	result chan error
	sent   int
}

func write(ctx context.Context, address, topic string, parts int) (*writer, error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return nil, err
	}
	// The first is waited for: this client gives up on a connection that is closed before it has said anything.
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: payload(0)}).FirstErr(); err != nil {
		return nil, err
	}
	w := &writer{stop: make(chan struct{}), result: make(chan error, 1), sent: 1}
	go func() {
		defer c.Close()
		var failure error
		for tick := time.NewTicker(time.Millisecond); ; {
			select {
			case <-w.stop:
				tick.Stop()
				err := c.Flush(ctx)
				w.result <- first(err, failure)
				return
			case <-tick.C:
			}
			c.Produce(ctx, &kgo.Record{Topic: topic, Partition: int32(w.sent % parts), Value: payload(w.sent)},
				func(_ *kgo.Record, err error) { failure = first(failure, err) })
			w.sent++
		}
	}()
	return w, nil
}

func (w *writer) finish() (int, error) {
	close(w.stop)
	err := <-w.result
	return w.sent, err
}

// some sends n records and waits for their acknowledgement.
func (s *scene) some(ctx context.Context, n int) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(s.usual.address), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer c.Close()
	var records []*kgo.Record
	for i := 0; i < n; i++ {
		records = append(records, &kgo.Record{Topic: s.usual.topic, Partition: int32(i % s.parts), Value: payload(i)})
	}
	return c.ProduceSync(ctx, records...).FirstErr()
}

func (c groupClient) three(ctx context.Context) error {
	s, err := c.scene(ctx, bootstrap, 6)
	if err != nil {
		return err
	}
	for round := 1; round <= 2; round++ {
		if err := s.joins(ctx, 3, nil); err != nil {
			return err
		}
		if err := first(equal(600*(round-1), s.ledger.count(), "records read before any were written"),
			s.some(ctx, 600)); err != nil {
			return err
		}
		err := s.read(ctx, 600*round)
		if err := first(err, s.end()); err != nil {
			return err
		}
	}
	return nil
}

func (c groupClient) comeAndGo(ctx context.Context, strategy string) error {
	s, err := c.scene(ctx, bootstrap, 6)
	if err != nil {
		return err
	}
	s.usual.strategy = strategy
	w, err := write(ctx, bootstrap, s.usual.topic, s.parts)
	if err != nil {
		return err
	}
	for range 3 {
		if err := s.joins(ctx, 1, nil); err != nil {
			return err
		}
	}
	if taken := s.members[0].history()[1]; strategy == "cooperative-sticky" && taken != 4 {
		return fmt.Errorf("%d partitions were taken from the first when two others came", taken)
	}
	if err := s.leave(1); err != nil {
		return err
	}
	if err := s.shared(ctx); err != nil {
		return err
	}
	sent, err := w.finish()
	if err != nil {
		return err
	}
	err = s.read(ctx, sent)
	return first(err, s.end())
}

func (c groupClient) vanishes(ctx context.Context) error {
	s, err := c.scene(ctx, bootstrap, 4)
	if err != nil {
		return err
	}
	if err := s.joins(ctx, 2, func(i int, o *joining) {
		if i == 1 {
			o.session = 2 * time.Second
		}
	}); err != nil {
		return err
	}
	s.members[1].gone()
	s.members = s.members[:1]
	if err := s.some(ctx, 40); err != nil {
		return err
	}
	if err := first(s.shared(ctx), s.read(ctx, 40)); err != nil {
		return err
	}
	return s.end()
}

func (c groupClient) restart(ctx context.Context) error {
	s, err := c.scene(ctx, bootstrap, 6)
	if err != nil {
		return err
	}
	// The first to come leads the group; a leader that starts again may make a new plan.
	if err := s.joins(ctx, 1, func(_ int, o *joining) { o.instance = "instance-0" }); err != nil {
		return err
	}
	if err := s.joins(ctx, 2, func(i int, o *joining) { o.instance = fmt.Sprintf("instance-%d", i+1) }); err != nil {
		return err
	}
	before, told := shares(s.members), s.histories()[:2]
	for round := 1; round <= 2; round++ {
		if err := s.leave(2); err != nil {
			return err
		}
		if err := s.some(ctx, 60); err != nil {
			return err
		}
		if err := s.join(ctx, func(o *joining) { o.instance = "instance-2" }); err != nil {
			return err
		}
		if err := first(s.shared(ctx), s.read(ctx, 60*round)); err != nil {
			return err
		}
	}
	if !slices.EqualFunc(before, shares(s.members), maps.Equal) {
		return fmt.Errorf("the partitions were %v, are %v", before, shares(s.members))
	}
	if !slices.Equal(told, s.histories()[:2]) {
		return fmt.Errorf("what the others were told was %v, is %v", told, s.histories()[:2])
	}
	return s.end()
}

// onOwnBroker runs a scene on a broker of its own.
func (c groupClient) onOwnBroker(ctx context.Context, parts int, f func(b *ownBroker, s *scene) error) error {
	b, err := startBroker(ctx)
	if err != nil {
		return err
	}
	s, err := c.scene(ctx, b.address, parts)
	if err == nil {
		err = f(b, s)
	}
	return first(err, b.stop())
}

func (c groupClient) stable(ctx context.Context) error {
	return c.onOwnBroker(ctx, 6, func(b *ownBroker, s *scene) error {
		if err := s.joins(ctx, 3, nil); err != nil {
			return err
		}
		told := s.histories()
		rebalances, owner := b.rebalances(s.usual.group)
		w, err := write(ctx, b.address, s.usual.topic, s.parts)
		if err != nil {
			return err
		}
		for _, worker := range []string{owner, "worker-0", "worker-1", "worker-2", "worker-3"} {
			before := s.ledger.count()
			if err := b.kill(ctx, worker); err != nil {
				return err
			}
			if err := await(ctx, "the members read on", func() bool { return s.ledger.count() > before+100 }); err != nil {
				return err
			}
		}
		sent, err := w.finish()
		if err := first(err, s.read(ctx, sent)); err != nil {
			return err
		}
		if !c.steady {
			return first(s.shared(ctx), s.end())
		}
		if !slices.Equal(told, s.histories()) {
			return fmt.Errorf("what the members were told was %v, is %v; the broker's reasons: %v", told, s.histories(),
				b.said("group rebalances group="+s.usual.group+".*"))
		}
		after, _ := b.rebalances(s.usual.group)
		return first(equal(rebalances, after, "rebalances"), s.end())
	})
}

func (c groupClient) rebalancing(ctx context.Context) error {
	return c.onOwnBroker(ctx, 4, func(b *ownBroker, s *scene) error {
		s.ledger.again = c.unsure
		if err := s.joins(ctx, 2, nil); err != nil {
			return err
		}
		w, err := write(ctx, b.address, s.usual.topic, s.parts)
		if err != nil {
			return err
		}
		for range 5 {
			before, _ := b.rebalances(s.usual.group)
			if err := s.join(ctx, nil); err != nil {
				return err
			}
			var owner string
			if err := await(ctx, "a rebalance", func() bool {
				var n int
				n, owner = b.rebalances(s.usual.group)
				return n > before
			}); err != nil {
				return err
			}
			if err := first(b.kill(ctx, owner), s.shared(ctx), s.leave(0), s.shared(ctx)); err != nil {
				return err
			}
		}
		sent, err := w.finish()
		return first(err, s.read(ctx, sent), s.end())
	})
}

// cable is a client's connections to the broker, which can be cut without a word.
type cable struct {
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func (c *cable) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		conn.Close()
		return nil, net.ErrClosed
	}
	c.conns = append(c.conns, conn)
	return conn, nil
}

// Dial is for Sarama, which takes a dialer for a proxy.
func (c *cable) Dial(network, address string) (net.Conn, error) {
	return c.dial(context.Background(), network, address)
}

func (c *cable) cutOff() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	for _, conn := range c.conns {
		conn.Close()
	}
}
