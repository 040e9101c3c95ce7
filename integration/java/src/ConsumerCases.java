import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** The consumer by partition, without groups: positions, times, isolation, long polls. */
final class ConsumerCases {
	private ConsumerCases() {
	}

	static void all() {
		for (String level : List.of("read_uncommitted", "read_committed")) {
			Suite.check("seek, seekToBeginning, seekToEnd, position: " + level, () -> seek(level));
			Suite.check("beginningOffsets and endOffsets: " + level, () -> offsets(level));
		}
		Suite.check("seek into the middle of a batch", ConsumerCases::middle);
		Suite.check("offsetsForTimes", ConsumerCases::times);
		Suite.check("a record larger than the fetch sizes still comes", ConsumerCases::smallFetch);
		Suite.check("a waiting fetch is woken by a record", ConsumerCases::longPoll);
		Suite.check("fetch.min.bytes is waited for, up to fetch.max.wait.ms", ConsumerCases::minBytes);
		Suite.check("an offset out of range", ConsumerCases::outOfRange);
		Suite.check("40 MB over 4 partitions, all of it and in order", ConsumerCases::volume);
		Suite.check("partitionsFor and listTopics", ConsumerCases::listTopics);
		Suite.check("a consumer goes on where a topic grows under it", ConsumerCases::tail);
	}

	static Consumer<byte[], byte[]> consumer(Map<String, Object> more) {
		Map<String, Object> m = new HashMap<>();
		m.put("bootstrap.servers", Suite.bootstrap);
		m.put("enable.auto.commit", false);
		m.put("auto.offset.reset", "earliest");
		m.put("default.api.timeout.ms", 20000);
		m.put("check.crcs", true);
		m.putAll(more);
		return new KafkaConsumer<>(m, new ByteArrayDeserializer(), new ByteArrayDeserializer());
	}

	static String text(byte[] b) {
		return b == null ? null : new String(b, StandardCharsets.UTF_8);
	}

	/** Poll until n records are there, at most 20 s; their offsets must follow each other. */
	static List<ConsumerRecord<byte[], byte[]>> poll(Consumer<byte[], byte[]> c, TopicPartition p, int n) {
		List<ConsumerRecord<byte[], byte[]>> out = new ArrayList<>();
		long end = System.nanoTime() + 20_000_000_000L;
		while (out.size() < n && System.nanoTime() < end)
			out.addAll(c.poll(Duration.ofMillis(200)).records(p));
		Suite.equal(n, out.size(), "records of " + p);
		for (int i = 1; i < n; i++)
			Suite.equal(out.get(i - 1).offset() + 1, out.get(i).offset(), "next offset");
		return out;
	}

	static List<ConsumerRecord<byte[], byte[]>> read(TopicPartition p, long from, int n, Map<String, Object> more) {
		try (Consumer<byte[], byte[]> c = consumer(more)) {
			c.assign(List.of(p));
			c.seek(p, from);
			List<ConsumerRecord<byte[], byte[]>> out = poll(c, p, n);
			if (n > 0)
				Suite.equal(from, out.get(0).offset(), "first offset");
			return out;
		}
	}

	private static void seek(String level) throws Exception {
		TopicPartition p = new TopicPartition(Suite.topic("seek", 1), 0);
		ProducerCases.send(p.topic(), 100, Map.of());
		try (Consumer<byte[], byte[]> c = consumer(Map.of("isolation.level", level))) {
			c.assign(List.of(p));
			c.seekToBeginning(List.of(p));
			Suite.equal(0L, c.position(p), "position at the beginning");
			Suite.equal("v0", text(poll(c, p, 100).get(0).value()), "first value");
			Suite.equal(100L, c.position(p), "position after all");
			c.seek(p, 42);
			Suite.equal("v42", text(poll(c, p, 58).get(0).value()), "value at 42");
			c.seekToEnd(List.of(p));
			Suite.equal(100L, c.position(p), "position at the end");
			Suite.require(c.poll(Duration.ofMillis(300)).isEmpty(), "records behind the end");
			Suite.equal(0L, c.currentLag(p).orElse(0), "lag at the end");
		}
	}

	private static void offsets(String level) throws Exception {
		String t = Suite.topic("ends", 2);
		ProducerCases.send(t, 25, Map.of());
		TopicPartition full = new TopicPartition(t, 0), empty = new TopicPartition(t, 1);
		try (Consumer<byte[], byte[]> c = consumer(Map.of("isolation.level", level))) {
			Suite.equal(Map.of(full, 0L, empty, 0L), c.beginningOffsets(List.of(full, empty)), "beginning");
			Suite.equal(Map.of(full, 25L, empty, 0L), c.endOffsets(List.of(full, empty)), "end");
		}
	}

	private static void middle() throws Exception {
		TopicPartition p = new TopicPartition(Suite.topic("middle", 1), 0);
		ProducerCases.send(p.topic(), 50, Map.of("linger.ms", 100, "compression.type", "lz4"));
		for (int from : new int[] { 1, 17, 49 })
			Suite.equal("v" + from, text(read(p, from, 50 - from, Map.of()).get(0).value()), "value");
	}

	private static void times() throws Exception {
		TopicPartition p = new TopicPartition(Suite.topic("times", 1), 0);
		long base = Suite.LATELY;
		for (int i = 0; i < 5; i++)
			ProducerCases.sendAt(p.topic(), base + 1000L * i);
		try (Consumer<byte[], byte[]> c = consumer(Map.of())) {
			OffsetAndTimestamp at = c.offsetsForTimes(Map.of(p, base + 2000)).get(p);
			Suite.equal(2L, at.offset(), "offset at a record's time");
			Suite.equal(base + 2000, at.timestamp(), "timestamp");
			at = c.offsetsForTimes(Map.of(p, base + 2001)).get(p);
			Suite.equal(3L, at.offset(), "offset between two times");
			Suite.equal(base + 3000, at.timestamp(), "timestamp of the record found");
			Suite.equal(0L, c.offsetsForTimes(Map.of(p, 0L)).get(p).offset(), "offset before all");
			Suite.equal(null, c.offsetsForTimes(Map.of(p, base + 4001)).get(p), "offset after all");
		}
	}

	private static void smallFetch() throws Exception {
		TopicPartition p = new TopicPartition(Suite.topic("small", 1), 0);
		for (int i = 0; i < 3; i++)
			ProducerCases.sendOne(p.topic(), 0, null, ("" + i).repeat(200_000), Map.of());
		read(p, 0, 3, Map.of("max.partition.fetch.bytes", 1000, "fetch.max.bytes", 1000));
	}

	/** Milliseconds until a waiting consumer has the one record that is sent 300 ms after it began to wait. */
	private static long await(Map<String, Object> more) throws Exception {
		TopicPartition p = new TopicPartition(Suite.topic("wait", 1), 0);
		try (Consumer<byte[], byte[]> c = consumer(more)) {
			c.assign(List.of(p));
			c.seekToBeginning(List.of(p));
			c.position(p);
			c.poll(Duration.ofMillis(100));
			CompletableFuture<Long> sent = CompletableFuture.supplyAsync(() -> {
				try {
					ProducerCases.sendOne(p.topic(), 0, "k", "v", Map.of());
					return System.nanoTime();
				} catch (Exception e) {
					throw new AssertionError(e);
				}
			}, CompletableFuture.delayedExecutor(300, java.util.concurrent.TimeUnit.MILLISECONDS));
			poll(c, p, 1);
			long got = System.nanoTime();
			return (got - sent.get()) / 1_000_000;
		}
	}

	private static void longPoll() throws Exception {
		long ms = await(Map.of("fetch.max.wait.ms", 3_000));
		Suite.require(ms < 1500, "came " + ms + " ms after it was acknowledged");
	}

	private static void minBytes() throws Exception {
		long ms = await(Map.of("fetch.max.wait.ms", 1500, "fetch.min.bytes", 100_000));
		Suite.require(ms < 4000, "came " + ms + " ms after it was acknowledged");
	}

	private static void outOfRange() throws Exception {
		TopicPartition p = new TopicPartition(Suite.topic("range", 1), 0);
		ProducerCases.send(p.topic(), 5, Map.of());
		try (Consumer<byte[], byte[]> c = consumer(Map.of("auto.offset.reset", "none"))) {
			c.assign(List.of(p));
			c.seek(p, 1000);
			Suite.fails(OffsetOutOfRangeException.class, () -> poll(c, p, 1));
		}
		try (Consumer<byte[], byte[]> c = consumer(Map.of())) {
			c.assign(List.of(p));
			c.seek(p, 1000);
			Suite.equal(0L, poll(c, p, 5).get(0).offset(), "offset after the reset");
		}
	}

	private static void volume() throws Exception {
		String t = Suite.topic("volume", 4);
		int n = 10_000;
		byte[] value = new byte[4000];
		try (var p = ProducerCases.producer(Map.of("linger.ms", 5, "batch.size", 200_000))) {
			for (int i = 0; i < n; i++)
				p.send(new org.apache.kafka.clients.producer.ProducerRecord<>(t, i % 4, null, value.clone()));
			p.flush();
		}
		for (int part = 0; part < 4; part++)
			read(new TopicPartition(t, part), 0, n / 4, Map.of());
	}

	private static void listTopics() throws Exception {
		String t = Suite.topic("infos", 3);
		try (Consumer<byte[], byte[]> c = consumer(Map.of())) {
			List<PartitionInfo> infos = c.partitionsFor(t);
			Suite.equal(3, infos.size(), "partitions");
			Suite.equal(3, c.listTopics().get(t).size(), "partitions in listTopics");
		}
	}

	private static void tail() throws Exception {
		TopicPartition p = new TopicPartition(Suite.topic("tail", 1), 0);
		try (Consumer<byte[], byte[]> c = consumer(Map.of());
		     var producer = ProducerCases.producer(Map.of())) {
			c.assign(List.of(p));
			c.seekToBeginning(List.of(p));
			for (int i = 0; i < 50; i++) {
				producer.send(new org.apache.kafka.clients.producer.ProducerRecord<>(p.topic(), 0, null,
					ProducerCases.bytes("v" + i))).get();
				Suite.equal("v" + i, text(poll(c, p, 1).get(0).value()), "value");
			}
		}
	}
}
