import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The producer: idempotence, acks, codecs, headers, timestamps, sizes. */
final class ProducerCases {
	private ProducerCases() {
	}

	static void all() {
		Suite.check("idempotent producer: 20,000 records over 3 partitions", ProducerCases::idempotent);
		for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd"))
			Suite.check("records come back as sent: " + codec, () -> roundTrip(codec));
		Suite.check("acks=0: no offset, yet stored", ProducerCases::acksNone);
		Suite.check("acks=1 without idempotence", ProducerCases::acksOne);
		Suite.check("CreateTime timestamps are kept", ProducerCases::createTime);
		Suite.check("LogAppendTime is stamped by the broker", ProducerCases::logAppendTime);
		Suite.check("a topic is created by the first send", ProducerCases::autoCreated);
		Suite.check("a record over max.message.bytes is refused", ProducerCases::tooLarge);
		Suite.check("a batch over max.message.bytes is split", ProducerCases::split);
		Suite.check("a 900 KB record", ProducerCases::large);
		Suite.check("an impossible topic name", ProducerCases::badName);
		Suite.check("two idempotent producers side by side", ProducerCases::twoProducers);
		Suite.check("partitionsFor", ProducerCases::partitionsFor);
	}

	static Producer<byte[], byte[]> producer(Map<String, Object> more) {
		Map<String, Object> m = new HashMap<>();
		m.put("bootstrap.servers", Suite.bootstrap);
		m.put("delivery.timeout.ms", 20000);
		m.put("request.timeout.ms", 10000);
		m.put("max.block.ms", 15000);
		m.putAll(more);
		return new KafkaProducer<>(m, new ByteArraySerializer(), new ByteArraySerializer());
	}

	static byte[] bytes(String s) {
		return s == null ? null : s.getBytes(StandardCharsets.UTF_8);
	}

	private static RecordMetadata get(Future<RecordMetadata> f) throws Exception {
		return f.get(25, TimeUnit.SECONDS);
	}

	/** n records "v0".. to partition 0, awaited. */
	static void send(String topic, int n, Map<String, Object> more) throws Exception {
		try (Producer<byte[], byte[]> p = producer(more)) {
			List<Future<RecordMetadata>> sent = new ArrayList<>();
			for (int i = 0; i < n; i++)
				sent.add(p.send(new ProducerRecord<>(topic, 0, bytes("k" + i), bytes("v" + i))));
			for (Future<RecordMetadata> f : sent)
				get(f);
		}
	}

	static RecordMetadata sendOne(String topic, int partition, String key, String value, Map<String, Object> more)
		throws Exception {
		try (Producer<byte[], byte[]> p = producer(more)) {
			return get(p.send(new ProducerRecord<>(topic, partition, bytes(key), bytes(value))));
		}
	}

	static RecordMetadata sendAt(String topic, long time) throws Exception {
		try (Producer<byte[], byte[]> p = producer(Map.of())) {
			return get(p.send(new ProducerRecord<>(topic, 0, time, null, bytes("at " + time))));
		}
	}

	private static void idempotent() throws Exception {
		String t = Suite.topic("idempotent", 3);
		int each = 20_000 / 3;
		List<List<Future<RecordMetadata>>> sent = Suite.repeat(3, i -> new ArrayList<>());
		try (Producer<byte[], byte[]> p = producer(Map.of("linger.ms", 1, "batch.size", 2000))) {
			for (int i = 0; i < each; i++)
				for (int part = 0; part < 3; part++)
					sent.get(part).add(p.send(new ProducerRecord<>(t, part, null, bytes(part + ":" + i))));
			p.flush();
		}
		for (int part = 0; part < 3; part++)
			for (int i = 0; i < each; i++)
				Suite.equal((long)i, get(sent.get(part).get(i)).offset(), "offset in partition " + part);
		for (int part = 0; part < 3; part++) {
			List<ConsumerRecord<byte[], byte[]>> got =
				ConsumerCases.read(new TopicPartition(t, part), 0, each, Map.of());
			for (int i = 0; i < each; i++)
				Suite.equal(part + ":" + i, ConsumerCases.text(got.get(i).value()), "value");
		}
	}

	/** Records of every shape: null and empty keys and values, headers twice with one name and with null. */
	private static List<ProducerRecord<byte[], byte[]>> shapes(String topic) {
		List<ProducerRecord<byte[], byte[]>> out = new ArrayList<>();
		Random random = new Random(7);
		for (int i = 0; i < 300; i++) {
			byte[] value = new byte[random.nextInt(2000)];
			random.nextBytes(value);
			out.add(new ProducerRecord<>(topic, 0, Suite.LATELY + i, bytes("key " + i % 10), value));
		}
		out.add(new ProducerRecord<>(topic, 0, null, bytes("no key")));
		out.add(new ProducerRecord<>(topic, 0, bytes("no value"), null));
		out.add(new ProducerRecord<>(topic, 0, bytes(""), bytes("")));
		out.add(new ProducerRecord<>(topic, 0, null, bytes("headers"), null, List.of(new RecordHeader("a", bytes("1")),
			new RecordHeader("a", bytes("2")), new RecordHeader("null", null), new RecordHeader("", bytes("")))));
		out.add(new ProducerRecord<>(topic, 0, bytes("text"), bytes("a".repeat(50_000))));
		return out;
	}

	private static void same(ProducerRecord<byte[], byte[]> sent, ConsumerRecord<byte[], byte[]> got) {
		Suite.require(java.util.Arrays.equals(sent.key(), got.key()), "key of offset " + got.offset());
		Suite.require(java.util.Arrays.equals(sent.value(), got.value()), "value of offset " + got.offset());
		Suite.equal(List.of(sent.headers().toArray()), List.of(got.headers().toArray()), "headers");
		if (sent.timestamp() != null)
			Suite.equal(sent.timestamp(), got.timestamp(), "timestamp");
		Suite.equal(TimestampType.CREATE_TIME, got.timestampType(), "timestamp type");
	}

	private static void roundTrip(String codec) throws Exception {
		String t = Suite.topic("codec", 1);
		List<ProducerRecord<byte[], byte[]>> records = shapes(t);
		try (Producer<byte[], byte[]> p = producer(Map.of("compression.type", codec, "linger.ms", 5))) {
			for (Future<RecordMetadata> f : records.stream().map(p::send).toList())
				get(f);
		}
		List<ConsumerRecord<byte[], byte[]>> got =
			ConsumerCases.read(new TopicPartition(t, 0), 0, records.size(), Map.of());
		for (int i = 0; i < records.size(); i++)
			same(records.get(i), got.get(i));
	}

	private static void acksNone() throws Exception {
		String t = Suite.topic("acks0", 1);
		try (Producer<byte[], byte[]> p = producer(Map.of("acks", "0", "enable.idempotence", false))) {
			for (int i = 0; i < 100; i++)
				Suite.equal(-1L, get(p.send(new ProducerRecord<>(t, 0, null, bytes("v" + i)))).offset(), "offset");
		}
		Suite.equal(100, ConsumerCases.read(new TopicPartition(t, 0), 0, 100, Map.of()).size(), "records");
	}

	private static void acksOne() throws Exception {
		String t = Suite.topic("acks1", 1);
		try (Producer<byte[], byte[]> p = producer(Map.of("acks", "1", "enable.idempotence", false))) {
			for (int i = 0; i < 100; i++)
				Suite.equal((long)i, get(p.send(new ProducerRecord<>(t, 0, null, bytes("v" + i)))).offset(), "offset");
		}
	}

	private static void createTime() throws Exception {
		String t = Suite.topic("createtime", 1, Map.of("retention.ms", "-1"));
		long[] times = { 0, 1, 1_700_000_000_000L, 1_600_000_000_000L };
		for (long time : times)
			Suite.equal(time, sendAt(t, time).timestamp(), "timestamp in the answer");
		List<ConsumerRecord<byte[], byte[]>> got = ConsumerCases.read(new TopicPartition(t, 0), 0, 4, Map.of());
		for (int i = 0; i < 4; i++)
			Suite.equal(times[i], got.get(i).timestamp(), "timestamp");
	}

	private static void logAppendTime() throws Exception {
		String t = Suite.topic("appendtime", 1, Map.of("message.timestamp.type", "LogAppendTime"));
		long before = System.currentTimeMillis();
		long answered = sendAt(t, 1000).timestamp();
		long after = System.currentTimeMillis();
		Suite.require(before - 50 <= answered && answered <= after + 50, "timestamp in the answer is " + answered);
		ConsumerRecord<byte[], byte[]> r = ConsumerCases.read(new TopicPartition(t, 0), 0, 1, Map.of()).get(0);
		Suite.equal(TimestampType.LOG_APPEND_TIME, r.timestampType(), "timestamp type");
		Suite.equal(answered, r.timestamp(), "timestamp");
	}

	private static void autoCreated() throws Exception {
		String t = Suite.name("auto");
		Suite.equal(0L, sendOne(t, 0, "k", "v", Map.of()).offset(), "offset");
	}

	private static void tooLarge() throws Exception {
		String t = Suite.topic("toolarge", 1, Map.of("max.message.bytes", "10000"));
		Suite.fails(RecordTooLargeException.class, () -> sendOne(t, 0, null, "x".repeat(12_000), Map.of()));
		Suite.equal(0L, sendOne(t, 0, null, "x".repeat(8_000), Map.of()).offset(), "the first offset stored");
	}

	/**
	 * The producer guesses how far a batch will be compressed. After much that compresses well it guesses too low for
	 * what does not: its batches come out too large, MESSAGE_TOO_LARGE (and no other error) makes it split them.
	 */
	private static void split() throws Exception {
		String t = Suite.topic("split", 1, Map.of("max.message.bytes", "10000"));
		int easy = 4000, hard = 100;
		Random random = new Random(5);
		try (Producer<byte[], byte[]> p =
			     producer(Map.of("batch.size", 8000, "linger.ms", 20, "compression.type", "gzip"))) {
			for (int i = 0; i < easy; i++)
				p.send(new ProducerRecord<>(t, 0, null, bytes(i + ":" + "x".repeat(1000))));
			p.flush();
			List<Future<RecordMetadata>> sent = Suite.repeat(hard, i -> {
				byte[] value = new byte[1000];
				random.nextBytes(value);
				return p.send(new ProducerRecord<>(t, 0, bytes("" + i), value));
			});
			for (int i = 0; i < hard; i++)
				Suite.equal((long)easy + i, get(sent.get(i)).offset(), "offset");
			Suite.require(p.metrics().entrySet().stream().anyMatch(m -> m.getKey().name().equals("batch-split-total")
				&& (Double)m.getValue().metricValue() > 0), "no batch was split: the case shows nothing");
		}
		List<ConsumerRecord<byte[], byte[]>> got = ConsumerCases.read(new TopicPartition(t, 0), easy, hard, Map.of());
		for (int i = 0; i < hard; i++)
			Suite.equal("" + i, ConsumerCases.text(got.get(i).key()), "key");
	}

	private static void large() throws Exception {
		String t = Suite.topic("large", 1);
		String value = "0123456789".repeat(90_000);
		Suite.equal(0L, sendOne(t, 0, null, value, Map.of()).offset(), "offset");
		Suite.equal(value, ConsumerCases.text(ConsumerCases.read(new TopicPartition(t, 0), 0, 1, Map.of()).get(0)
			.value()), "value");
	}

	private static void badName() {
		Suite.fails(InvalidTopicException.class, () -> sendOne("no such/name", 0, "k", "v", Map.of()));
	}

	private static void twoProducers() throws Exception {
		String t = Suite.topic("two", 1);
		int n = 3000;
		List<Future<RecordMetadata>> sent = new ArrayList<>();
		try (Producer<byte[], byte[]> p = producer(Map.of("batch.size", 500));
		     Producer<byte[], byte[]> q = producer(Map.of("batch.size", 500))) {
			for (int i = 0; i < n; i++) {
				sent.add(p.send(new ProducerRecord<>(t, 0, bytes("p"), bytes("" + i))));
				sent.add(q.send(new ProducerRecord<>(t, 0, bytes("q"), bytes("" + i))));
			}
			p.flush();
			q.flush();
		}
		Map<String, Integer> next = new HashMap<>(Map.of("p", 0, "q", 0));
		for (ConsumerRecord<byte[], byte[]> r : ConsumerCases.read(new TopicPartition(t, 0), 0, 2 * n, Map.of())) {
			String who = ConsumerCases.text(r.key());
			Suite.equal("" + next.get(who), ConsumerCases.text(r.value()), "order of " + who);
			next.put(who, next.get(who) + 1);
		}
		Suite.equal(2L * n, sent.stream().map(f -> {
			try {
				return get(f).offset();
			} catch (Exception e) {
				throw new AssertionError(e);
			}
		}).distinct().count(), "different offsets");
	}

	private static void partitionsFor() throws Exception {
		String t = Suite.topic("parts", 7);
		try (Producer<byte[], byte[]> p = producer(Map.of())) {
			Suite.equal(7, p.partitionsFor(t).size(), "partitions");
		}
	}
}
