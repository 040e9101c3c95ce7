import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * Apache Kafka's own Java client against a broker: `java Suite HOST:PORT` runs the cases (CASE=text: those whose name
 * holds the text), prints a line for each, and exits with 1 where one failed.
 */
public final class Suite {
	/** What a case does; it fails by throwing. */
	interface Case {
		void run() throws Exception;
	}

	static String bootstrap;
	/** An hour ago: older records might meet the retention time. */
	static final long LATELY = System.currentTimeMillis() - 3_600_000;
	private static final String WANTED = System.getenv().getOrDefault("CASE", "");
	private static int failed;
	private static final String RUN = Long.toString(System.currentTimeMillis() % 1_000_000, 36);
	private static int names;

	public static void main(String[] args) {
		bootstrap = args[0];
		AdminCases.all();
		ProducerCases.all();
		ConsumerCases.all();
		System.exit(failed == 0 ? 0 : 1);
	}

	static void check(String name, Case c) {
		if (!name.contains(WANTED))
			return;
		String line = AppInfoParser.getVersion() + ": " + name;
		try {
			c.run();
			System.out.println("ok - " + line);
		} catch (Throwable t) {
			failed++;
			Throwable cause = t instanceof ExecutionException ? t.getCause() : t;
			System.out.println("not ok - " + line);
			System.out.println("# " + (cause + where(t)).replace('\n', ' '));
		}
	}

	/** The line of the suite that a failure came from. */
	private static String where(Throwable t) {
		for (StackTraceElement e : t.getStackTrace())
			if (e.getFileName() != null && e.getClassName().endsWith("Cases"))
				return " at " + e.getFileName() + ":" + e.getLineNumber();
		return "";
	}

	/**
	 * Waits where the broker is an Apache Kafka (SETTLE=500, in ms), which answers before a change of topics has reached
	 * all that serves them. Here nothing may need it.
	 */
	static void settle() throws InterruptedException {
		Thread.sleep(Long.parseLong(System.getenv().getOrDefault("SETTLE", "0")));
	}

	/** A topic name of this run alone. */
	static String name(String stem) {
		return "java-" + stem + "-" + RUN + "-" + names++;
	}

	static Admin admin() {
		return Admin.create(Map.of("bootstrap.servers", bootstrap, "request.timeout.ms", "15000",
			"default.api.timeout.ms", "20000"));
	}

	/** Create a topic and give its name. */
	static String topic(String stem, int partitions, Map<String, String> configs) throws Exception {
		String name = name(stem);
		try (Admin a = admin()) {
			a.createTopics(List.of(new NewTopic(name, partitions, (short)1).configs(configs))).all()
				.get(20, TimeUnit.SECONDS);
		}
		settle();
		return name;
	}

	static String topic(String stem, int partitions) throws Exception {
		return topic(stem, partitions, Map.of());
	}

	static void equal(Object expected, Object actual, String what) {
		if (!java.util.Objects.equals(expected, actual))
			throw new AssertionError(what + ": expected " + expected + ", was " + actual);
	}

	static void require(boolean truth, String what) {
		if (!truth)
			throw new AssertionError(what);
	}

	/** The call must fail with this exception, as itself or as the cause of a future's. */
	static void fails(Class<? extends Throwable> expected, Case c) {
		Throwable got = null;
		try {
			c.run();
		} catch (ExecutionException e) {
			got = e.getCause();
		} catch (Throwable t) {
			got = t;
		}
		if (got == null)
			throw new AssertionError("expected " + expected.getSimpleName() + ", but it worked");
		if (!expected.isInstance(got))
			throw new AssertionError("expected " + expected.getSimpleName() + ", was " + got);
	}

	static <T> List<T> repeat(int n, java.util.function.IntFunction<T> make) {
		List<T> out = new ArrayList<>();
		for (int i = 0; i < n; i++)
			out.add(make.apply(i));
		return out;
	}
}
