import java.util.Map;

import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** A producer in a thread: a record every millisecond or so, to each partition in turn, until it is closed. */
final class Writer implements AutoCloseable {
	private final Producer<byte[], byte[]> producer;
	private final Thread thread;
	private volatile boolean stopping;
	private volatile Throwable failure;
	private int sent;

	Writer(String bootstrap, String topic, int partitions) {
		producer = ProducerCases.producer(Map.of("bootstrap.servers", bootstrap, "reconnect.backoff.max.ms", 100));
		thread = new Thread(() -> run(topic, partitions), "writer");
		thread.start();
	}

	private void run(String topic, int partitions) {
		try {
			for (; !stopping; sent++) {
				producer.send(new ProducerRecord<>(topic, sent % partitions, null, ProducerCases.bytes("" + sent)),
					(metadata, e) -> failure = e == null ? failure : e);
				Thread.sleep(1);
			}
		} catch (Throwable t) {
			failure = t;
		}
	}

	/** Stops; the number of records, all of which are acknowledged. */
	int finish() throws Exception {
		close();
		if (failure != null)
			throw new AssertionError("the producer failed: " + failure, failure);
		return sent;
	}

	@Override
	public void close() throws Exception {
		stopping = true;
		thread.join();
		producer.close();
	}
}
