import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.serialization.StringSerializer;

/** Creates a topic and sends it twenty records: mvn -q compile exec:java */
public final class Produce {
	static final String BOOTSTRAP = System.getenv().getOrDefault("BOOTSTRAP", "localhost:9092");
	static final String TOPIC = "beans";

	static void createTopic() throws Exception {
		try (Admin admin = Admin.create(Map.of("bootstrap.servers", BOOTSTRAP))) {
			admin.createTopics(List.of(new NewTopic(TOPIC, 4, (short)1))).all().get();
		} catch (ExecutionException e) {
			if (!(e.getCause() instanceof TopicExistsException))
				throw e;
		}
	}

	public static void main(String[] args) throws Exception {
		createTopic();
		// Idempotent and acks=all, as Java's client does by itself.
		Map<String, Object> settings = Map.of("bootstrap.servers", BOOTSTRAP);
		try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
			for (int i = 1; i <= 20; i++) {
				RecordMetadata at = producer.send(new ProducerRecord<>(TOPIC, "key " + i % 7, "bean " + i)).get();
				System.out.println("bean " + i + " is in partition " + at.partition() + " at offset " + at.offset());
			}
		}
	}
}
