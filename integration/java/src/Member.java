import java.time.Duration;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;

import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;

/** A consumer of a group, in a thread: it commits what it has read, at the latest when a partition is taken from it. */
final class Member implements ConsumerRebalanceListener {
	private static final AtomicInteger NUMBER = new AtomicInteger();

	final String name = "member " + NUMBER.incrementAndGet();
	/** How often each was told by the client. */
	final AtomicInteger assigns = new AtomicInteger(), revokes = new AtomicInteger(), losses = new AtomicInteger();
	/** Partitions taken from it, all in all. */
	final AtomicInteger taken = new AtomicInteger();
	/** What ended it. */
	volatile Throwable failure;
	private final Consumer<byte[], byte[]> consumer;
	private final Ledger ledger;
	private final Thread thread;
	private volatile Set<TopicPartition> owned = Set.of();
	private volatile boolean stopping;

	Member(Ledger ledger, String bootstrap, String group, String topic, Map<String, Object> more) {
		this.ledger = ledger;
		Map<String, Object> settings = new HashMap<>(settings(group));
		settings.put("bootstrap.servers", bootstrap);
		settings.putAll(more);
		consumer = ConsumerCases.consumer(settings);
		thread = new Thread(() -> run(topic), name);
		thread.setDaemon(true);
		thread.start();
	}

	Member(Ledger ledger, String group, String topic, Map<String, Object> more) {
		this(ledger, Suite.bootstrap, group, topic, more);
	}

	/** What every group consumer of these cases is told. */
	static Map<String, Object> settings(String group) {
		return Map.of("group.id", group, "heartbeat.interval.ms", 100, "session.timeout.ms", 10000,
			"reconnect.backoff.max.ms", 100, "retry.backoff.ms", 20);
	}

	private void run(String topic) {
		try {
			consumer.subscribe(List.of(topic), this);
			while (!stopping)
				turn(consumer.poll(Duration.ofMillis(50)));
		} catch (Throwable t) {
			failure = t;
		} finally {
			consumer.close();
		}
	}

	private void turn(ConsumerRecords<byte[], byte[]> records) {
		for (ConsumerRecord<byte[], byte[]> r : records)
			ledger.read(this, r);
		if (records.isEmpty())
			return;
		try {
			consumer.commitSync();
			note(consumer.assignment());
		} catch (RebalanceInProgressException e) {
			// A cooperative rebalance is under way; what is kept is committed later, the rest in onPartitionsRevoked.
		}
	}

	private void note(Collection<TopicPartition> committed) {
		committed.forEach(p -> ledger.committed(p, consumer.position(p)));
	}

	@Override
	public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
		assigns.incrementAndGet();
		ledger.take(this, partitions);
		owned = Set.copyOf(consumer.assignment());
	}

	@Override
	public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
		revokes.incrementAndGet();
		taken.addAndGet(partitions.size());
		consumer.commitSync(partitions.stream().collect(Collectors.toMap(p -> p,
			p -> new OffsetAndMetadata(consumer.position(p)))));
		note(partitions);
		ledger.give(this, partitions);
		remove(partitions);
	}

	@Override
	public void onPartitionsLost(Collection<TopicPartition> partitions) {
		losses.incrementAndGet();
		ledger.lose(this, partitions);
		remove(partitions);
	}

	private void remove(Collection<TopicPartition> partitions) {
		owned = owned.stream().filter(p -> !partitions.contains(p)).collect(Collectors.toSet());
	}

	/** Numbers of the partitions that it has now. */
	Set<Integer> partitions() {
		return owned.stream().map(TopicPartition::partition).collect(Collectors.toCollection(TreeSet::new));
	}

	/** Close in good order. */
	void stop() throws Exception {
		stopping = true;
		thread.join(20_000);
		Suite.require(!thread.isAlive(), name + " does not stop");
		if (failure != null)
			throw new AssertionError(name + " ended: " + failure, failure);
	}

	static void stop(Collection<Member> members) throws Exception {
		for (Member m : members)
			m.stopping = true;
		for (Member m : members)
			m.stop();
	}

	/** Wait until these, alone, have partitions 0 to n - 1 among them, in shares that differ by one at most. */
	static void awaitShares(int n, Collection<Member> members) throws Exception {
		Suite.await(members.size() + " members share " + n + " partitions", () -> {
			for (Member m : members)
				if (m.failure != null)
					throw new AssertionError(m.name + " ended: " + m.failure, m.failure);
			List<Set<Integer>> shares = members.stream().map(Member::partitions).toList();
			Set<Integer> all = shares.stream().flatMap(Set::stream).collect(Collectors.toSet());
			return all.size() == n && shares.stream().mapToInt(Set::size).sum() == n && shares.stream()
				.allMatch(s -> s.size() >= n / members.size() && s.size() <= (n + members.size() - 1) / members.size());
		});
	}

	static void awaitShares(int n, Member... members) throws Exception {
		awaitShares(n, Arrays.asList(members));
	}

	/** How often each was told something: the same, unless there was a rebalance. */
	static List<List<Integer>> told(Collection<Member> members) {
		return members.stream().map(m -> List.of(m.assigns.get(), m.revokes.get(), m.losses.get())).toList();
	}
}
