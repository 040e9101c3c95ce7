import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.NoOffsetForPartitionException;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidGroupIdException;
import org.apache.kafka.common.errors.OffsetMetadataTooLarge;
import org.apache.kafka.common.errors.TimeoutException;

/** What a group consumer commits and finds again, and where it stands. */
final class GroupOffsetCases {
	private GroupOffsetCases() {
	}

	static void all() {
		Suite.check("group: commitSync and commitAsync with metadata and epoch", GroupOffsetCases::commits);
		Suite.check("group: commits at close, by itself", GroupOffsetCases::autoCommit);
		Suite.check("group: position, committed, seek, times, lag", GroupOffsetCases::positions);
		Suite.check("group: nothing committed, and auto.offset.reset=none", GroupOffsetCases::noReset);
		Suite.check("group: commits without being a member", GroupOffsetCases::simple);
		Suite.check("group: commits that are refused", GroupOffsetCases::refused);
		Suite.check("group: 2,000 commits over 200 partitions", GroupOffsetCases::wide);
	}

	/**
	 * A member that has the whole topic, and has asked where to begin: a client that has not would take the answer to
	 * that question, asked before a commit, for one to committed(), asked after it.
	 */
	private static Consumer<byte[], byte[]> member(String group, String topic, int partitions, Map<String, Object> more)
		throws Exception {
		Consumer<byte[], byte[]> c = GroupCases.consumer(group, more);
		c.subscribe(List.of(topic));
		Suite.await("assigned", () -> {
			c.poll(Duration.ZERO);
			return c.assignment().size() == partitions;
		});
		c.assignment().forEach(c::position);
		return c;
	}

	private static void commits() throws Exception {
		String t = Suite.topic("commits", 3), group = Suite.name("group");
		TopicPartition a = new TopicPartition(t, 0), b = new TopicPartition(t, 1), none = new TopicPartition(t, 2);
		OffsetAndMetadata first = new OffsetAndMetadata(17, Optional.of(0), "with a note, ünïcödé");
		OffsetAndMetadata second = new OffsetAndMetadata(Long.MAX_VALUE, "x".repeat(4096));
		try (Consumer<byte[], byte[]> c = member(group, t, 3, Map.of())) {
			c.commitSync(Map.of(a, first));
			CompletableFuture<Map<TopicPartition, OffsetAndMetadata>> done = new CompletableFuture<>();
			c.commitAsync(Map.of(b, second), (offsets, e) -> {
				if (e == null)
					done.complete(offsets);
				else
					done.completeExceptionally(e);
			});
			Suite.await("the callback", () -> {
				c.poll(Duration.ofMillis(20));
				return done.isDone();
			});
			Suite.equal(Map.of(b, second), done.get(), "what the callback was told");
			Suite.equal(first, c.committed(Set.of(a)).get(a), "committed");
		}
		Map<TopicPartition, OffsetAndMetadata> expected = new HashMap<>(Map.of(a, first, b, second));
		expected.put(none, null);
		try (Consumer<byte[], byte[]> c = GroupCases.consumer(group, Map.of())) {
			Suite.equal(expected, c.committed(Set.of(a, b, none)), "committed, asked by the next");
		}
	}

	private static void autoCommit() throws Exception {
		String t = Suite.topic("auto", 1), group = Suite.name("group");
		TopicPartition p = new TopicPartition(t, 0);
		ProducerCases.send(t, 10, Map.of());
		Map<String, Object> settings = Map.of("enable.auto.commit", true, "max.poll.records", 4);
		try (Consumer<byte[], byte[]> c = member(group, t, 1, settings)) {
			c.seekToBeginning(List.of(p));
			Suite.equal(4, ConsumerCases.poll(c, p, 4).size(), "records");
		}
		try (Consumer<byte[], byte[]> c = member(group, t, 1, settings)) {
			Suite.equal(4L, c.position(p), "position of the next");
		}
		try (Consumer<byte[], byte[]> c = member(group, t, 1, Map.of("enable.auto.commit", true,
			"auto.commit.interval.ms", 50, "max.poll.records", 4))) {
			c.seek(p, 0);
			ConsumerCases.poll(c, p, 10);
			Suite.await("committed while it runs", () -> {
				c.poll(Duration.ofMillis(20));
				return c.committed(Set.of(p)).get(p).offset() == 10;
			});
		}
	}

	private static void positions() throws Exception {
		String t = Suite.topic("positions", 1), group = Suite.name("group");
		TopicPartition p = new TopicPartition(t, 0);
		long base = Suite.LATELY;
		for (int i = 0; i < 5; i++)
			ProducerCases.sendAt(t, base + 1000L * i);
		try (Consumer<byte[], byte[]> c = member(group, t, 1, Map.of())) {
			c.seekToBeginning(List.of(p));
			ConsumerCases.poll(c, p, 5);
			Suite.equal(5L, c.position(p), "position");
			Suite.equal(null, c.committed(Set.of(p)).get(p), "committed before any commit");
			c.commitSync();
			c.seek(p, 2);
			Suite.equal(5L, c.committed(Set.of(p)).get(p).offset(), "committed, after seeking elsewhere");
			Suite.equal(2L, ConsumerCases.poll(c, p, 3).get(0).offset(), "first offset after seeking");
			Suite.equal(0L, c.currentLag(p).getAsLong(), "lag at the end");
			long at = c.offsetsForTimes(Map.of(p, base + 2500)).get(p).offset();
			Suite.equal(3L, at, "offset by time");
			c.seek(p, at);
			Suite.equal(3L, ConsumerCases.poll(c, p, 2).get(0).offset(), "first offset after seeking by time");
			Suite.equal(Map.of(p, 0L), c.beginningOffsets(List.of(p)), "beginning");
			Suite.equal(Map.of(p, 5L), c.endOffsets(List.of(p)), "end");
			c.seek(p, new OffsetAndMetadata(1, "as if committed"));
			c.commitSync();
		}
		try (Consumer<byte[], byte[]> c = member(group, t, 1, Map.of())) {
			Suite.equal(1L, ConsumerCases.poll(c, p, 4).get(0).offset(), "where the next goes on");
		}
	}

	private static void noReset() throws Exception {
		String t = Suite.topic("noreset", 1), group = Suite.name("group");
		try (Consumer<byte[], byte[]> c = GroupCases.consumer(group, Map.of("auto.offset.reset", "none"))) {
			c.subscribe(List.of(t));
			Suite.fails(NoOffsetForPartitionException.class, () -> GroupCases.some(c));
		}
	}

	private static void simple() throws Exception {
		String t = Suite.topic("simple", 2), group = Suite.name("group");
		TopicPartition p = new TopicPartition(t, 0);
		ProducerCases.send(t, 10, Map.of());
		try (Consumer<byte[], byte[]> c = GroupCases.consumer(group, Map.of())) {
			c.assign(List.of(p));
			ConsumerCases.poll(c, p, 10);
			c.commitSync();
			try (Consumer<byte[], byte[]> member = member(group, t, 2, Map.of())) {
				Suite.equal(10L, member.position(p), "position of a member of that group");
				Suite.fails(CommitFailedException.class, () -> c.commitSync(Map.of(p, new OffsetAndMetadata(3))));
			}
			c.commitSync(Map.of(p, new OffsetAndMetadata(4)));
		}
		try (Consumer<byte[], byte[]> c = GroupCases.consumer(group, Map.of())) {
			c.assign(List.of(p));
			Suite.equal(4L, ConsumerCases.poll(c, p, 6).get(0).offset(), "where the next goes on");
		}
	}

	private static void refused() throws Exception {
		String t = Suite.topic("refused", 1), group = Suite.name("group");
		TopicPartition p = new TopicPartition(t, 0);
		try (Consumer<byte[], byte[]> c = member(group, t, 1, Map.of("default.api.timeout.ms", 1000))) {
			c.commitSync(Map.of(p, new OffsetAndMetadata(1)));
			Suite.fails(OffsetMetadataTooLarge.class, () -> c.commitSync(Map.of(p, new OffsetAndMetadata(2, "x".repeat(4097)))));
			// UNKNOWN_TOPIC_OR_PARTITION, at which this client tries again until its time is up.
			Suite.fails(TimeoutException.class,
				() -> c.commitSync(Map.of(new TopicPartition(t, 7), new OffsetAndMetadata(2))));
			Suite.equal(1L, c.committed(Set.of(p)).get(p).offset(), "committed");
		}
		try (Consumer<byte[], byte[]> c = ConsumerCases.consumer(Map.of())) {
			c.assign(List.of(p));
			Suite.fails(InvalidGroupIdException.class, c::commitSync);
		}
	}

	/** Commits in flight together, the last one of each partition wins. */
	private static void wide() throws Exception {
		String t = Suite.topic("wide", 200), group = Suite.name("group");
		Map<TopicPartition, OffsetAndMetadata> last = new HashMap<>();
		CompletableFuture<?>[] done = new CompletableFuture<?>[10];
		try (Consumer<byte[], byte[]> c = member(group, t, 200, Map.of())) {
			for (int round = 0; round < done.length; round++) {
				CompletableFuture<Void> one = new CompletableFuture<>();
				done[round] = one;
				for (int i = 0; i < 200; i++)
					last.put(new TopicPartition(t, i), new OffsetAndMetadata(1000L * round + i));
				c.commitAsync(Map.copyOf(last), (offsets, e) -> {
					if (e == null)
						one.complete(null);
					else
						one.completeExceptionally(e);
				});
			}
			Suite.await("the callbacks", () -> {
				c.poll(Duration.ofMillis(10));
				return Arrays.stream(done).allMatch(CompletableFuture::isDone);
			});
			CompletableFuture.allOf(done).get(1, TimeUnit.SECONDS);
			Suite.equal(last, c.committed(last.keySet()), "committed");
		}
	}
}
