import java.io.BufferedReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.UnsupportedVersionException;

/** Members that come, go, vanish, come back and are too slow. */
final class GroupCases {
	private GroupCases() {
	}

	private static final String PACKAGE = "org.apache.kafka.clients.consumer.";
	private static final Map<String, Object> COOPERATIVE =
		Map.of("partition.assignment.strategy", PACKAGE + "CooperativeStickyAssignor");

	static void all() {
		Suite.check("group: three members read all once and in order; three others go on", GroupCases::three);
		for (String assignor : List.of("Range", "RoundRobin", "Sticky", "CooperativeSticky"))
			Suite.check("group: members come and go while records are written: " + assignor, () -> comeAndGo(assignor));
		Suite.check("group: from range to cooperative-sticky without a stop", GroupCases::upgrade);
		Suite.check("group: a static member's client starts again, and nobody notices", GroupCases::restart);
		Suite.check("group: a static member's twin fences it", GroupCases::twin);
		Suite.check("group: a killed process is missed after its session", GroupCases::killed);
		Suite.check("group: max.poll.interval.ms is exceeded: out, and in again", GroupCases::slow);
		Suite.check("group: enforceRebalance", GroupCases::enforced);
		Suite.check("group: a pattern finds a topic that is created later", GroupCases::pattern);
		Suite.check("group: a topic that grows is shared anew", GroupCases::grown);
		Suite.check("group: paused partitions are kept and not read", GroupCases::paused);
		Suite.check("group: group.protocol=consumer is refused at once", GroupCases::newProtocol);
	}

	private static void three() throws Exception {
		String t = Suite.topic("three", 6), group = Suite.name("group");
		Ledger ledger = new Ledger();
		for (int round = 1; round <= 2; round++) {
			int first = (round - 1) * 600, all = round * 600;
			List<Member> members = Suite.repeat(3, i -> new Member(ledger, group, t, Map.of()));
			Member.awaitShares(6, members);
			Suite.equal((long)first, ledger.count(), "records read before any was written");
			write(Suite.bootstrap, t, 6, 600);
			Suite.await("all is read", () -> ledger.count() >= all);
			Suite.equal((long)all, ledger.count(), "records read");
			Member.stop(members);
			ledger.check();
		}
	}

	static void write(String bootstrap, String topic, int partitions, int n) {
		try (var p = ProducerCases.producer(Map.of("bootstrap.servers", bootstrap, "reconnect.backoff.max.ms", 100))) {
			for (int i = 0; i < n; i++)
				p.send(new org.apache.kafka.clients.producer.ProducerRecord<>(topic, i % partitions, null,
					ProducerCases.bytes("v" + i)));
			p.flush();
		}
	}

	private static Map<String, Object> strategy(String assignor) {
		return Map.of("partition.assignment.strategy", PACKAGE + assignor + "Assignor");
	}

	private static void comeAndGo(String assignor) throws Exception {
		String t = Suite.topic("come", 6), group = Suite.name("group");
		Ledger ledger = new Ledger();
		List<Member> members = new ArrayList<>();
		try (Writer writer = new Writer(Suite.bootstrap, t, 6)) {
			for (int n = 1; n <= 3; n++) {
				members.add(new Member(ledger, group, t, strategy(assignor)));
				Member.awaitShares(6, members);
			}
			int taken = members.get(0).taken.get();
			members.remove(1).stop();
			Member.awaitShares(6, members);
			if (assignor.equals("CooperativeSticky")) {
				Suite.equal(4, taken, "partitions taken from the first when two others came");
				Suite.equal(4, members.get(0).taken.get(), "partitions taken from it in all");
			}
			int sent = writer.finish();
			Suite.await("all is read", () -> ledger.count() >= sent);
			Suite.equal((long)sent, ledger.count(), "records read");
			Member.stop(members);
			ledger.check();
		} finally {
			for (Member m : members)
				m.stop();
		}
	}

	/** Two rounds of restarts, as Kafka's guide to the cooperative protocol has it. */
	private static void upgrade() throws Exception {
		String t = Suite.topic("upgrade", 4), group = Suite.name("group");
		Map<String, Object> both = Map.of("partition.assignment.strategy",
			PACKAGE + "CooperativeStickyAssignor," + PACKAGE + "RangeAssignor");
		Ledger ledger = new Ledger();
		List<Member> members = new ArrayList<>(Suite.repeat(2, i -> new Member(ledger, group, t, strategy("Range"))));
		Member.awaitShares(4, members);
		for (Map<String, Object> next : List.of(both, COOPERATIVE))
			for (int i = 0; i < 2; i++) {
				members.remove(0).stop();
				members.add(new Member(ledger, group, t, next));
				Member.awaitShares(4, members);
			}
		Suite.equal("cooperative-sticky", GroupAdminCases.describe(group).partitionAssignor(), "the group's protocol");
		write(Suite.bootstrap, t, 4, 40);
		Suite.await("all is read", () -> ledger.count() >= 40);
		Member.stop(members);
		ledger.check();
	}

	private static Member fixed(Ledger ledger, String group, String topic, int i) {
		return new Member(ledger, group, topic, Map.of("group.instance.id", "instance-" + i));
	}

	private static void restart() throws Exception {
		String t = Suite.topic("static", 6), group = Suite.name("group");
		Ledger ledger = new Ledger();
		List<Member> members = new ArrayList<>(Suite.repeat(3, i -> fixed(ledger, group, t, i)));
		Member.awaitShares(6, members);
		List<Set<Integer>> before = members.stream().map(Member::partitions).toList();
		List<List<Integer>> told = Member.told(members.subList(0, 2));
		for (int i = 0; i < 3; i++) {
			members.remove(2).stop();
			write(Suite.bootstrap, t, 6, 60);
			members.add(fixed(ledger, group, t, 2));
			Member.awaitShares(6, members);
			int all = 60 * (i + 1);
			Suite.await("all is read", () -> ledger.count() >= all);
		}
		Suite.equal(before, members.stream().map(Member::partitions).toList(), "partitions");
		Suite.equal(told, Member.told(members.subList(0, 2)), "what the others were told");
		Suite.equal(3, GroupAdminCases.describe(group).members().size(), "members");
		Member.stop(members);
		ledger.check();
	}

	private static void twin() throws Exception {
		String t = Suite.topic("twin", 2), group = Suite.name("group");
		Member first = fixed(new Ledger(), group, t, 0);
		Member.awaitShares(2, first);
		Member second = fixed(new Ledger(), group, t, 0);
		Member.awaitShares(2, second);
		Suite.await("the first is fenced", () -> first.failure != null);
		Suite.require(first.failure instanceof FencedInstanceIdException, "the first ended with " + first.failure);
		Suite.await("it has lost what it had", () -> first.losses.get() == 1);
		second.stop();
	}

	private static void killed() throws Exception {
		String t = Suite.topic("killed", 4), group = Suite.name("group");
		Ledger ledger = new Ledger();
		Member stays = new Member(ledger, group, t, Map.of());
		Member.awaitShares(4, stays);
		Process goes = Mortal.start(group, t);
		try (BufferedReader said = goes.inputReader()) {
			String line;
			do
				line = said.readLine();
			while (line != null && !line.equals("2"));
			Suite.equal("2", line, "partitions of the one in a process of its own");
			Suite.await("the other has two, too", () -> stays.partitions().size() == 2);
		} finally {
			goes.destroyForcibly().waitFor();
		}
		write(Suite.bootstrap, t, 4, 40);
		Member.awaitShares(4, stays);
		Suite.await("all is read", () -> ledger.count() >= 40);
		stays.stop();
		ledger.check();
	}

	static Consumer<byte[], byte[]> consumer(String group, Map<String, Object> more) {
		Map<String, Object> settings = new HashMap<>(Member.settings(group));
		settings.putAll(more);
		return ConsumerCases.consumer(settings);
	}

	static ConsumerRecords<byte[], byte[]> some(Consumer<byte[], byte[]> c) {
		long end = System.nanoTime() + 20_000_000_000L;
		while (System.nanoTime() < end) {
			ConsumerRecords<byte[], byte[]> records = c.poll(Duration.ofMillis(100));
			if (!records.isEmpty())
				return records;
		}
		throw new AssertionError("no records within 20 s");
	}

	private static void slow() throws Exception {
		String t = Suite.topic("slow", 2), group = Suite.name("group");
		write(Suite.bootstrap, t, 2, 20);
		Ledger ledger = new Ledger();
		try (Consumer<byte[], byte[]> slow = consumer(group, Map.of("max.poll.interval.ms", 700, "max.poll.records", 5))) {
			slow.subscribe(List.of(t));
			some(slow);
			Member other = new Member(ledger, group, t, Map.of());
			Member.awaitShares(2, other);
			Suite.await("the other reads all, as nothing was committed", () -> ledger.count() == 20);
			Suite.fails(CommitFailedException.class, slow::commitSync);
			Suite.await("both have one", () -> {
				slow.poll(Duration.ofMillis(50));
				return slow.assignment().size() == 1 && other.partitions().size() == 1;
			});
			slow.commitSync();
			other.stop();
		}
		ledger.check();
	}

	private static void enforced() throws Exception {
		String t = Suite.topic("enforced", 2), group = Suite.name("group");
		Ledger ledger = new Ledger();
		Member other = new Member(ledger, group, t, Map.of());
		Member.awaitShares(2, other);
		try (Consumer<byte[], byte[]> c = consumer(group, Map.of())) {
			c.subscribe(List.of(t));
			Suite.await("both have one", () -> {
				c.poll(Duration.ofMillis(50));
				return c.assignment().size() == 1 && other.partitions().size() == 1;
			});
			int before = c.groupMetadata().generationId(), told = other.assigns.get();
			c.enforceRebalance("the case wants it");
			Suite.await("another generation", () -> {
				c.poll(Duration.ofMillis(50));
				return c.groupMetadata().generationId() == before + 1 && other.assigns.get() == told + 1;
			});
			Suite.equal(1, c.assignment().size(), "partitions");
		}
		other.stop();
		ledger.check();
	}

	private static void pattern() throws Exception {
		String first = Suite.topic("pattern", 2), group = Suite.name("group"), stem = first + "-";
		try (Consumer<byte[], byte[]> c = consumer(group, Map.of("metadata.max.age.ms", 300))) {
			c.subscribe(Pattern.compile(Pattern.quote(first) + ".*"));
			awaitAssigned(c, Set.of(new TopicPartition(first, 0), new TopicPartition(first, 1)));
			String second = Suite.topic("none", 1);
			try (var a = Suite.admin()) {
				a.createTopics(List.of(new org.apache.kafka.clients.admin.NewTopic(stem + "later", 1, (short)1))).all().get();
			}
			awaitAssigned(c, Set.of(new TopicPartition(first, 0), new TopicPartition(first, 1),
				new TopicPartition(stem + "later", 0)));
			write(Suite.bootstrap, second, 1, 1);
			write(Suite.bootstrap, stem + "later", 1, 3);
			Suite.equal(3, some(c).records(new TopicPartition(stem + "later", 0)).size(), "records of the later topic");
			Suite.equal(Set.of(first, stem + "later"), c.subscription(), "subscription");
		}
	}

	static void awaitAssigned(Consumer<byte[], byte[]> c, Set<TopicPartition> expected) throws Exception {
		Suite.await("assigned: " + expected, () -> {
			c.poll(Duration.ofMillis(50));
			return c.assignment().equals(expected);
		});
	}

	private static void grown() throws Exception {
		String t = Suite.topic("grown", 1), group = Suite.name("group");
		Ledger ledger = new Ledger();
		List<Member> members = Suite.repeat(2, i -> new Member(ledger, group, t, Map.of("metadata.max.age.ms", 300)));
		Suite.await("one has it", () -> members.stream().mapToInt(m -> m.partitions().size()).sum() == 1);
		try (var a = Suite.admin()) {
			a.createPartitions(Map.of(t, NewPartitions.increaseTo(4))).all().get();
		}
		Member.awaitShares(4, members);
		write(Suite.bootstrap, t, 4, 40);
		Suite.await("all is read", () -> ledger.count() == 40);
		Member.stop(members);
		ledger.check();
	}

	private static void paused() throws Exception {
		String t = Suite.topic("paused", 2), group = Suite.name("group");
		TopicPartition open = new TopicPartition(t, 0), held = new TopicPartition(t, 1);
		write(Suite.bootstrap, t, 2, 20);
		try (Consumer<byte[], byte[]> c = consumer(group, Map.of("max.poll.records", 3))) {
			c.subscribe(List.of(t));
			Suite.await("assigned", () -> {
				c.poll(Duration.ZERO);
				return c.assignment().size() == 2;
			});
			c.seekToBeginning(c.assignment());
			c.pause(List.of(held));
			Suite.equal(10, ConsumerCases.poll(c, open, 10).size(), "records of the other");
			for (int i = 0; i < 10; i++)
				Suite.require(c.poll(Duration.ofMillis(20)).isEmpty(), "a record of the paused partition");
			Suite.equal(Set.of(held), c.paused(), "paused");
			c.resume(List.of(held));
			Suite.equal(10, ConsumerCases.poll(c, held, 10).size(), "records of the one that was paused");
			c.commitSync(Map.of(held, new OffsetAndMetadata(10)));
		}
	}

	/** KIP-848 is not served: the client must say so, and not wait. */
	private static void newProtocol() throws Exception {
		String t = Suite.topic("new", 1);
		long begin = System.nanoTime();
		Map<String, Object> settings = Map.of("group.id", Suite.name("group"), "group.protocol", "consumer");
		try (Consumer<byte[], byte[]> c = ConsumerCases.consumer(settings)) {
			c.subscribe(List.of(t));
			Suite.fails(UnsupportedVersionException.class, () -> some(c));
		}
		long ms = (System.nanoTime() - begin) / 1_000_000;
		Suite.require(ms < 5000, "it took " + ms + " ms");
	}
}
