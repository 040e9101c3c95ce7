import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

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
	/** Another for each of the processes that may run beside each other. */
	private static final String RUN = Long.toString(System.currentTimeMillis() % 1_000_000, 36) + "-"
		+ Long.toString(ProcessHandle.current().pid(), 36);
	private static final AtomicInteger NAMES = new AtomicInteger();
	private static ExecutorService pool;

	public static void main(String[] args) {
		bootstrap = args[0];
		AdminCases.all();
		ProducerCases.all();
		ConsumerCases.all();
		together(() -> {
			DeathCases.all();
			SessionCases.all();
			GroupCases.all();
			GroupOffsetCases.all();
			GroupAdminCases.all();
			newer();
		});
		System.exit(failed == 0 ? 0 : 1);
	}

	/** Those that are compiled with newer clients only. */
	private static void newer() {
		if (!since4())
			return;
		try {
			((Runnable)Class.forName("NewerCases").getDeclaredConstructor().newInstance()).run();
		} catch (ReflectiveOperationException e) {
			throw new AssertionError(e);
		}
	}

	/** Cases that mostly wait: four at a time. */
	private static void together(Runnable cases) {
		pool = Executors.newFixedThreadPool(4);
		cases.run();
		pool.shutdown();
		try {
			pool.awaitTermination(1, TimeUnit.HOURS); // whoever started this has less patience
		} catch (InterruptedException e) {
			throw new AssertionError(e);
		}
		pool = null;
	}

	static void check(String name, Case c) {
		if (!name.contains(WANTED))
			return;
		if (pool == null)
			run(name, c);
		else
			pool.execute(() -> run(name, c));
	}

	private static void run(String name, Case c) {
		String line = AppInfoParser.getVersion() + ": " + name;
		try {
			c.run();
			say("ok - " + line);
		} catch (Throwable t) {
			Throwable cause = t instanceof ExecutionException ? t.getCause() : t;
			say("not ok - " + line, "# " + (cause + where(t)).replace('\n', ' '));
		}
	}

	private static synchronized void say(String... lines) {
		failed += lines[0].startsWith("not ok") ? 1 : 0;
		for (String line : lines)
			System.out.println(line);
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

	/** The client is of release 4 or newer. */
	static boolean since4() {
		return Integer.parseInt(AppInfoParser.getVersion().split("\\.")[0]) >= 4;
	}

	/** A topic name of this run alone. */
	static String name(String stem) {
		return "java-" + stem + "-" + RUN + "-" + NAMES.getAndIncrement();
	}

	static Admin admin() {
		return admin(bootstrap);
	}

	private static Admin admin(String bootstrap) {
		return Admin.create(Map.of("bootstrap.servers", bootstrap, "request.timeout.ms", "15000",
			"default.api.timeout.ms", "20000"));
	}

	/** Create a topic and give its name. */
	static String topic(String stem, int partitions, Map<String, String> configs) throws Exception {
		return topic(bootstrap, stem, partitions, configs);
	}

	static String topic(String bootstrap, String stem, int partitions, Map<String, String> configs) throws Exception {
		String name = name(stem);
		try (Admin a = admin(bootstrap)) {
			a.createTopics(List.of(new NewTopic(name, partitions, (short)1).configs(configs))).all()
				.get(20, TimeUnit.SECONDS);
		}
		settle();
		return name;
	}

	static String topic(String stem, int partitions) throws Exception {
		return topic(stem, partitions, Map.of());
	}

	interface Condition {
		boolean holds() throws Exception;
	}

	/** Ask until it holds, at most 20 s. */
	static void await(String what, Condition c) throws Exception {
		long end = System.nanoTime() + 20_000_000_000L;
		while (!c.holds()) {
			if (System.nanoTime() > end)
				throw new AssertionError("not within 20 s: " + what);
			Thread.sleep(5);
		}
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
