import java.io.File;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/** A broker of the case's own, whose processes may be killed; it must stop in good order in the end. */
final class OwnBroker implements AutoCloseable {
	private static final String PROGRAM = System.getenv("BROKER");

	final String bootstrap;
	private final Path folder, log;
	private Process process;

	private OwnBroker(int workers) throws Exception {
		folder = Files.createTempDirectory("forka-java-");
		log = folder.resolve("log");
		bootstrap = "127.0.0.1:" + freePort();
		start(workers);
	}

	/** A new broker; another one where somebody else was quicker to take the port. */
	static OwnBroker create(int workers) throws Exception {
		for (int tries = 1;; tries++)
			try {
				return new OwnBroker(workers);
			} catch (AssertionError e) {
				if (tries == 3)
					throw e;
			}
	}

	/** There is a program to start. */
	static boolean isHere() {
		return PROGRAM != null && !PROGRAM.isEmpty();
	}

	/** Below those that the kernel takes for outgoing connections. */
	private static int freePort() throws Exception {
		while (true) {
			int port = ThreadLocalRandom.current().nextInt(20_000, 30_000);
			try (ServerSocket s = new ServerSocket(port, 1, InetAddress.getByName("127.0.0.1"))) {
				return port;
			} catch (java.io.IOException e) {
				// taken
			}
		}
	}

	private void start(int workers) throws Exception {
		int ready = said("broker is ready").size();
		process = new ProcessBuilder(PROGRAM, "-w", "" + workers, "-o", "listeners=PLAINTEXT://" + bootstrap, "-d",
			folder.resolve("data").toString()).redirectErrorStream(true)
			.redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile())).start();
		try {
			Suite.await("the broker is ready", () -> {
				Suite.require(process.isAlive(), "the broker ended");
				return said("broker is ready").size() > ready;
			});
		} catch (AssertionError e) {
			process.destroyForcibly();
			show();
			throw e;
		}
	}

	String log() throws Exception {
		return Files.exists(log) ? Files.readString(log) : "";
	}

	private List<MatchResult> said(String pattern) throws Exception {
		return Pattern.compile(pattern).matcher(log()).results().toList();
	}

	/** How many rebalances of this group have begun. */
	int rebalances(String group) throws Exception {
		return said(" group rebalances group=" + group + " ").size();
	}

	/** The worker that coordinates the group, as the log has it. */
	String owner(String group) throws Exception {
		List<MatchResult> found = said("(worker-\\d+)\\[\\d+\\] group rebalances group=" + group + " ");
		Suite.require(!found.isEmpty(), "nobody has said that it rebalances " + group);
		return found.get(found.size() - 1).group(1);
	}

	private List<MatchResult> started(String worker) throws Exception {
		return said("process started process=" + worker + " pid=(\\d+)");
	}

	/** SIGKILL; returns when it has a successor. */
	void kill(String worker) throws Exception {
		List<MatchResult> started = started(worker);
		long pid = Long.parseLong(started.get(started.size() - 1).group(1));
		Suite.require(ProcessHandle.of(pid).map(ProcessHandle::destroyForcibly).orElse(false), "no " + worker);
		Suite.await("a successor of " + worker, () -> started(worker).size() > started.size());
	}

	/** SIGKILL of the whole broker, and a new one over the same store. */
	void restart(int workers) throws Exception {
		List<ProcessHandle> children = process.children().toList();
		process.destroyForcibly().waitFor();
		Suite.await("its children end", () -> children.stream().noneMatch(OwnBroker::runs));
		start(workers);
	}

	/** Neither gone nor a zombie, which Java takes for alive. */
	private static boolean runs(ProcessHandle p) {
		try {
			return !Files.readString(Path.of("/proc/" + p.pid() + "/stat")).contains(") Z ");
		} catch (java.io.IOException e) {
			return false;
		}
	}

	/** The end of its log, for who failed; lines that integration/run shows. */
	void show() throws Exception {
		List<String> lines = log().lines().toList();
		lines.subList(Math.max(0, lines.size() - 60), lines.size()).forEach(l -> System.out.println("# broker: " + l));
	}

	@Override
	public void close() throws Exception {
		try {
			process.destroy();
			boolean ended = process.waitFor(5, TimeUnit.SECONDS);
			if (!ended)
				process.destroyForcibly();
			Suite.require(ended, "the broker did not end within 5 s of SIGTERM");
			Suite.equal(0, process.exitValue(), "exit status of the broker");
			Suite.equal(0, said("broken invariant|Sanitizer|runtime error").size(), "complaints in its log");
		} finally {
			try (var all = Files.walk(folder)) {
				all.sorted(Comparator.reverseOrder()).map(Path::toFile).forEach(File::delete);
			}
		}
	}
}
