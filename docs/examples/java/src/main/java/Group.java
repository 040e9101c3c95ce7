import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;

import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;

/** A member of a consumer group: mvn -q compile exec:java -Dexec.mainClass=Group. Ctrl-C has it leave. */
public final class Group implements ConsumerRebalanceListener {
	private static final Map<String, Object> SETTINGS = Map.of(
		"bootstrap.servers", Produce.BOOTSTRAP,
		"group.id", "bean counters",
		"auto.offset.reset", "earliest",
		"enable.auto.commit", false,
		// Nobody gives up what it keeps when another member comes or goes.
		"partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
		// The default of this client forgets the topics when it loses the only broker, which has a group rebalance.
		"metadata.recovery.strategy", "none");

	@Override
	public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
		System.out.println("given " + partitions);
	}

	@Override
	public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
		System.out.println("gives back " + partitions);
	}

	public static void main(String[] args) throws Exception {
		Produce.createTopic();
		var consumer = new KafkaConsumer<>(SETTINGS, new StringDeserializer(), new StringDeserializer());
		Thread main = Thread.currentThread();
		Runtime.getRuntime().addShutdownHook(new Thread(() -> {
			consumer.wakeup();
			try {
				main.join();
			} catch (InterruptedException e) {
				// the process ends anyway
			}
		}));
		try (consumer) { // its close() leaves the group
			consumer.subscribe(List.of(Produce.TOPIC), new Group());
			while (true) {
				ConsumerRecords<String, String> records = consumer.poll(Duration.ofSeconds(1));
				for (ConsumerRecord<String, String> r : records)
					System.out.println("partition " + r.partition() + ", offset " + r.offset() + ": " + r.value());
				consumer.commitSync();
			}
		} catch (WakeupException e) {
			System.out.println("leaves");
		}
	}
}
