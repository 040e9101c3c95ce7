import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Fetch sessions (KIP-227), which this client always wants: a thousand partitions, and all that may befall them. */
final class SessionCases {
	private static final int PARTITIONS = 1000;

	private final OwnBroker broker;
	private final Consumer<byte[], byte[]> consumer;
	private final Random dice = new Random();
	private final List<TopicPartition> held = new ArrayList<>();
	private final Map<TopicPartition, Long> next = new HashMap<>();

	private SessionCases(OwnBroker broker) {
		this.broker = broker;
		consumer = ConsumerCases.consumer(Map.of("bootstrap.servers", broker.bootstrap, "reconnect.backoff.max.ms", 100,
			"metadata.max.age.ms", 500, "allow.auto.create.topics", false));
	}

	static void all() {
		if (!OwnBroker.isHere())
			return;
		Suite.check("a thousand partitions: paused, sought, grown, deleted, workers killed; none is missed", () -> {
			try (OwnBroker b = OwnBroker.create(4)) {
				SessionCases s = new SessionCases(b);
				try {
					s.run();
				} catch (Throwable t) {
					b.show();
					throw t;
				} finally {
					s.consumer.close();
				}
			}
		});
	}

	private void hold(String topic, int from, int to) {
		for (int p = from; p < to; p++)
			held.add(new TopicPartition(topic, p));
		consumer.assign(held);
	}

	/** What comes must be what is next. */
	private void poll() {
		for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(50))) {
			TopicPartition p = new TopicPartition(r.topic(), r.partition());
			Suite.equal(next.getOrDefault(p, 0L), r.offset(), "offset of what comes next from " + p);
			next.put(p, r.offset() + 1);
		}
	}

	private long read() {
		return next.values().stream().mapToLong(n -> n).sum();
	}

	private void someArePausedOthersReadAgain() {
		List<TopicPartition> some = new ArrayList<>();
		for (int i = 0; i < 100; i++)
			some.add(held.get(dice.nextInt(held.size())));
		if (dice.nextBoolean())
			consumer.pause(some);
		else
			consumer.resume(some);
		TopicPartition p = some.get(0);
		if (next.getOrDefault(p, 0L) > 0) {
			next.merge(p, -1L, Long::sum);
			consumer.seek(p, next.get(p));
		}
	}

	private void write(String topic, int from, int to) throws Exception {
		try (Producer<byte[], byte[]> producer = ProducerCases.producer(Map.of("bootstrap.servers", broker.bootstrap))) {
			for (int p = from; p < to; p++)
				producer.send(new ProducerRecord<>(topic, p, null, ProducerCases.bytes("more"))).get(20, TimeUnit.SECONDS);
		}
	}

	private void run() throws Exception {
		String t = Suite.topic(broker.bootstrap, "sessions", PARTITIONS, Map.of());
		String gone = Suite.topic(broker.bootstrap, "gone", 8, Map.of());
		hold(gone, 0, 8);
		hold(t, 0, PARTITIONS);
		long sent;
		try (Writer writer = new Writer(broker.bootstrap, t, PARTITIONS);
			Admin admin = Admin.create(Map.of("bootstrap.servers", broker.bootstrap))) {
			for (int step = 0; step < 40; step++) {
				poll();
				someArePausedOthersReadAgain();
				if (step == 10)
					admin.deleteTopics(List.of(gone)).all().get(20, TimeUnit.SECONDS);
				if (step == 15)
					admin.createPartitions(Map.of(t, NewPartitions.increaseTo(PARTITIONS + 8))).all().get(20,
						TimeUnit.SECONDS);
				if (step == 20)
					hold(t, PARTITIONS, PARTITIONS + 8);
				if (step == 25)
					admin.createTopics(List.of(new NewTopic(gone, 8, (short)1))).all().get(20, TimeUnit.SECONDS);
				if (step >= 30 && step % 2 == 0 && step < 38)
					broker.kill("worker-" + (step - 30) / 2);
			}
			sent = writer.finish();
		}
		write(gone, 0, 8);
		write(t, PARTITIONS, PARTITIONS + 8);
		consumer.resume(held);
		Suite.await("all is read", () -> {
			poll();
			return read() >= sent + 16;
		});
		Suite.equal(sent + 16, read(), "records");
	}
}
