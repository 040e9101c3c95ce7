import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.kafka.clients.consumer.Consumer;

/** A group consumer in a process of its own, to be killed: `java Mortal HOST:PORT GROUP TOPIC` says what it is given. */
public final class Mortal {
	public static void main(String[] args) {
		Suite.bootstrap = args[0];
		Map<String, Object> settings = new HashMap<>(Member.settings(args[1]));
		settings.put("session.timeout.ms", 2000);
		settings.put("client.id", "mortal");
		try (Consumer<byte[], byte[]> c = ConsumerCases.consumer(settings)) {
			c.subscribe(List.of(args[2]));
			for (int said = -1;;) {
				c.poll(Duration.ofMillis(50));
				if (c.assignment().size() != said)
					System.out.println(said = c.assignment().size());
			}
		}
	}

	static Process start(String group, String topic) throws Exception {
		return new ProcessBuilder(System.getProperty("java.home") + "/bin/java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
			"-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp", System.getProperty("java.class.path"), "Mortal",
			Suite.bootstrap, group, topic).redirectError(ProcessBuilder.Redirect.DISCARD).start();
	}
}
