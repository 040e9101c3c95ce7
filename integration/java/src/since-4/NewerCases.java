import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ClassicGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.ClassicGroupState;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;

/** What older releases of the client do not have. */
public final class NewerCases implements Runnable {
	@Override
	public void run() {
		Suite.check("groups: listGroups by state, type and protocol type", NewerCases::listed);
		Suite.check("groups: describeClassicGroups", NewerCases::described);
		Suite.check("group: a member that remains when its client is closed", NewerCases::remains);
	}

	private static Set<String> list(Admin a, ListGroupsOptions options) throws Exception {
		Collection<GroupListing> all = a.listGroups(options).all().get(20, TimeUnit.SECONDS);
		for (GroupListing g : all)
			Suite.equal(Optional.of(GroupType.CLASSIC), g.type(), "type of " + g.groupId());
		return all.stream().map(GroupListing::groupId).collect(Collectors.toSet());
	}

	private static void listed() throws Exception {
		String t = Suite.topic("newer", 1), live = Suite.name("live"), simple = Suite.name("simple");
		Member m = new Member(new Ledger(), live, t, Map.of());
		Member.awaitShares(1, m);
		try (Admin a = Suite.admin()) {
			a.alterConsumerGroupOffsets(simple, Map.of(new TopicPartition(t, 0), new OffsetAndMetadata(1))).all().get();
			Suite.require(list(a, new ListGroupsOptions()).containsAll(Set.of(live, simple)), "one is missing");
			Suite.require(list(a, ListGroupsOptions.forConsumerGroups()).containsAll(Set.of(live, simple)), "one is missing");
			Set<String> stable = list(a, new ListGroupsOptions().inGroupStates(Set.of(GroupState.STABLE)));
			Suite.require(stable.contains(live) && !stable.contains(simple), "stable are " + stable);
			Set<String> consumers = list(a, new ListGroupsOptions().withProtocolTypes(Set.of("consumer")));
			Suite.require(consumers.contains(live) && !consumers.contains(simple), "of type consumer are " + consumers);
			Suite.equal(Set.of(), list(a, ListGroupsOptions.forShareGroups()), "share groups");
		}
		m.stop();
	}

	private static void described() throws Exception {
		String t = Suite.topic("newer", 1), group = Suite.name("group");
		Member m = new Member(new Ledger(), group, t, Map.of());
		Member.awaitShares(1, m);
		try (Admin a = Suite.admin()) {
			ClassicGroupDescription d = a.describeClassicGroups(List.of(group)).all().get(20, TimeUnit.SECONDS).get(group);
			Suite.equal(ClassicGroupState.STABLE, d.state(), "state");
			Suite.equal("consumer", d.protocol(), "protocol type");
			Suite.equal(1, d.members().size(), "members");
			Suite.fails(GroupIdNotFoundException.class,
				() -> a.describeClassicGroups(List.of(Suite.name("none"))).all().get(20, TimeUnit.SECONDS));
		}
		m.stop();
	}

	/** A dynamic member that was told to remain is missed after its session, a static one that was told to leave at once. */
	private static void remains() throws Exception {
		String t = Suite.topic("newer", 2), group = Suite.name("group");
		Ledger ledger = new Ledger();
		Member other = new Member(ledger, group, t, Map.of());
		close(t, group, other, Map.of("session.timeout.ms", 1500), CloseOptions.GroupMembershipOperation.REMAIN_IN_GROUP);
		Suite.equal(1, other.partitions().size(), "partitions of the other, just afterwards");
		Member.awaitShares(2, other);
		close(t, group, other, Map.of("group.instance.id", "i"), CloseOptions.GroupMembershipOperation.LEAVE_GROUP);
		long begin = System.nanoTime();
		Member.awaitShares(2, other);
		long ms = (System.nanoTime() - begin) / 1_000_000;
		Suite.require(ms < 5000, "it took " + ms + " ms until the static member was out");
		other.stop();
		ledger.check();
	}

	private static void close(String topic, String group, Member other, Map<String, Object> more,
		CloseOptions.GroupMembershipOperation how) throws Exception {
		Consumer<byte[], byte[]> c = GroupCases.consumer(group, more);
		c.subscribe(List.of(topic));
		Suite.await("both have one", () -> {
			c.poll(java.time.Duration.ofMillis(20));
			return c.assignment().size() == 1 && other.partitions().size() == 1;
		});
		c.close(CloseOptions.groupMembershipOperation(how));
	}
}
