import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ConsumerGroupListing;
import org.apache.kafka.clients.admin.DescribeConsumerGroupsOptions;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ListConsumerGroupsOptions;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.ConsumerGroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.UnknownMemberIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** The Admin client and groups: live ones, empty ones, absent ones. */
final class GroupAdminCases {
	private GroupAdminCases() {
	}

	static void all() {
		Suite.check("groups: described while live, empty and absent", GroupAdminCases::described);
		Suite.check("groups: listed, by state and by type", GroupAdminCases::listed);
		Suite.check("groups: offsets of one, of some, of several groups, of none", GroupAdminCases::offsets);
		Suite.check("groups: offsets altered while empty, not while live", GroupAdminCases::altered);
		Suite.check("groups: offsets deleted, but not of subscribed topics", GroupAdminCases::offsetsDeleted);
		Suite.check("groups: deleted, but not while live", GroupAdminCases::deleted);
		Suite.check("groups: members removed", GroupAdminCases::removed);
		Suite.check("groups: static members removed by their instance", GroupAdminCases::instancesRemoved);
		Suite.check("groups: a hundred groups at a time", GroupAdminCases::hundred);
	}

	private static <T> T get(KafkaFuture<T> f) throws Exception {
		return f.get(20, TimeUnit.SECONDS);
	}

	private static ConsumerGroupDescription describe(Admin a, String group) throws Exception {
		return get(a.describeConsumerGroups(List.of(group),
			new DescribeConsumerGroupsOptions().includeAuthorizedOperations(true)).describedGroups().get(group));
	}

	static ConsumerGroupDescription describe(String group) throws Exception {
		try (Admin a = Suite.admin()) {
			return describe(a, group);
		}
	}

	/** One member that has both partitions of a new topic. */
	private static final class Live {
		final String topic = Suite.topic("live", 2), group;
		final Ledger ledger = new Ledger();
		final Member member;

		Live(String stem) throws Exception {
			group = Suite.name(stem);
			member = new Member(ledger, group, topic, Map.of("client.id", "the client"));
			Member.awaitShares(2, member);
		}

		void stop() throws Exception {
			member.stop();
			ledger.check();
		}
	}

	private static String empty(Admin a, Map<TopicPartition, OffsetAndMetadata> offsets) throws Exception {
		String group = Suite.name("empty");
		get(a.alterConsumerGroupOffsets(group, offsets).all());
		return group;
	}

	private static Map<TopicPartition, OffsetAndMetadata> at(String topic, long... offsets) {
		Map<TopicPartition, OffsetAndMetadata> out = new HashMap<>();
		for (int i = 0; i < offsets.length; i++)
			out.put(new TopicPartition(topic, i), new OffsetAndMetadata(offsets[i], "at " + offsets[i]));
		return out;
	}

	private static void described() throws Exception {
		Live live = new Live("described");
		try (Admin a = Suite.admin()) {
			ConsumerGroupDescription d = describe(a, live.group);
			Suite.equal(ConsumerGroupState.STABLE, d.state(), "state");
			Suite.equal("range", d.partitionAssignor(), "assignor");
			Suite.require(!d.isSimpleConsumerGroup(), "counts as simple");
			Suite.equal(Suite.bootstrap, d.coordinator().host() + ":" + d.coordinator().port(), "coordinator");
			Suite.equal(1, d.members().size(), "members");
			MemberDescription m = d.members().iterator().next();
			Suite.equal("the client", m.clientId(), "client");
			Suite.require(m.consumerId().startsWith("the client-"), "member id " + m.consumerId());
			Suite.equal("/127.0.0.1", m.host(), "host");
			Suite.equal(Set.of(new TopicPartition(live.topic, 0), new TopicPartition(live.topic, 1)),
				m.assignment().topicPartitions(), "assignment");
			Suite.require(!m.groupInstanceId().isPresent(), "instance " + m.groupInstanceId());
			live.stop();
			d = describe(a, live.group);
			Suite.equal(ConsumerGroupState.EMPTY, d.state(), "state without members");
			Suite.equal(0, d.members().size(), "members");
			absent(a, Suite.name("absent"));
		}
	}

	/** From DescribeGroups v6 on (kafka-clients 4) absent groups are an error; before, they are dead. */
	private static void absent(Admin a, String group) throws Exception {
		if (Suite.since4())
			Suite.fails(GroupIdNotFoundException.class, () -> describe(a, group));
		else
			Suite.equal(ConsumerGroupState.DEAD, describe(a, group).state(), "state of an absent group");
	}

	private static Map<String, ConsumerGroupState> list(Admin a, ListConsumerGroupsOptions options) throws Exception {
		Collection<ConsumerGroupListing> all = get(a.listConsumerGroups(options).all());
		for (ConsumerGroupListing g : all)
			Suite.equal(GroupType.CLASSIC, g.type().orElse(null), "type of " + g.groupId());
		return all.stream().collect(Collectors.toMap(ConsumerGroupListing::groupId, g -> g.state().get()));
	}

	private static void listed() throws Exception {
		Live live = new Live("listed");
		try (Admin a = Suite.admin()) {
			String empty = empty(a, at(live.topic, 1));
			Map<String, ConsumerGroupState> all = list(a, new ListConsumerGroupsOptions());
			Suite.equal(ConsumerGroupState.STABLE, all.get(live.group), "state");
			Suite.equal(ConsumerGroupState.EMPTY, all.get(empty), "state of the empty one");
			for (ConsumerGroupState state : List.of(ConsumerGroupState.STABLE, ConsumerGroupState.EMPTY)) {
				Map<String, ConsumerGroupState> some = list(a, new ListConsumerGroupsOptions().inStates(Set.of(state)));
				Suite.equal(Set.of(state), Set.copyOf(some.values()), "states where " + state + " is asked for");
				Suite.require(some.containsKey(live.group) || some.containsKey(empty), "neither is there");
			}
			Suite.require(list(a, new ListConsumerGroupsOptions().withTypes(Set.of(GroupType.CLASSIC)))
				.keySet().containsAll(Set.of(live.group, empty)), "classic groups are missing");
			Suite.equal(Map.of(), list(a, new ListConsumerGroupsOptions().withTypes(Set.of(GroupType.CONSUMER))),
				"groups of the newer protocol");
			Suite.equal(Map.of(), list(a, new ListConsumerGroupsOptions().inStates(Set.of(ConsumerGroupState.DEAD))),
				"dead groups");
		}
		live.stop();
	}

	private static Map<TopicPartition, OffsetAndMetadata> offsets(Admin a, String group) throws Exception {
		return get(a.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
	}

	private static void offsets() throws Exception {
		String t = Suite.topic("offsets", 3), u = Suite.topic("offsets", 1);
		TopicPartition first = new TopicPartition(t, 0), third = new TopicPartition(t, 2);
		try (Admin a = Suite.admin()) {
			Map<TopicPartition, OffsetAndMetadata> one = at(t, 5, 6), two = new HashMap<>(at(u, 7));
			two.putAll(at(t, 8));
			String g = empty(a, one), h = empty(a, two), none = Suite.name("none");
			Suite.equal(one, offsets(a, g), "offsets of one group");
			Suite.equal(Map.of(), offsets(a, none), "offsets of no group");
			var all = get(a.listConsumerGroupOffsets(Map.of(g, new ListConsumerGroupOffsetsSpec(), h,
				new ListConsumerGroupOffsetsSpec(), none, new ListConsumerGroupOffsetsSpec())).all());
			Suite.equal(Map.of(g, one, h, two, none, Map.of()), all, "offsets of several groups");
			var some = get(a.listConsumerGroupOffsets(Map.of(
				g, new ListConsumerGroupOffsetsSpec().topicPartitions(List.of(first, third)),
				h, new ListConsumerGroupOffsetsSpec().topicPartitions(List.of(third)))).all());
			Map<TopicPartition, OffsetAndMetadata> ofG = new HashMap<>(Map.of(first, one.get(first))), ofH = new HashMap<>();
			ofG.put(third, null);
			ofH.put(third, null);
			Suite.equal(Map.of(g, ofG, h, ofH), some, "some offsets of several groups");
		}
	}

	private static void altered() throws Exception {
		Live live = new Live("altered");
		try (Admin a = Suite.admin()) {
			Suite.fails(UnknownMemberIdException.class,
				() -> get(a.alterConsumerGroupOffsets(live.group, at(live.topic, 1)).all()));
			live.stop();
			get(a.alterConsumerGroupOffsets(live.group, at(live.topic, 1, 2)).all());
			get(a.alterConsumerGroupOffsets(live.group, at(live.topic, 0)).all());
			Suite.equal(0L, offsets(a, live.group).get(new TopicPartition(live.topic, 0)).offset(), "altered twice");
			Suite.equal(2L, offsets(a, live.group).get(new TopicPartition(live.topic, 1)).offset(), "altered once");
			Suite.fails(UnknownTopicOrPartitionException.class,
				() -> get(a.alterConsumerGroupOffsets(live.group, at(Suite.name("no-topic"), 1)).all()));
		}
	}

	private static void offsetsDeleted() throws Exception {
		String other = Suite.topic("other", 1);
		TopicPartition gone = new TopicPartition(other, 0);
		Live live = new Live("offsetsdeleted");
		TopicPartition kept = new TopicPartition(live.topic, 0);
		try (Admin a = Suite.admin()) {
			live.stop();
			Map<TopicPartition, OffsetAndMetadata> both = new HashMap<>(at(other, 3));
			both.putAll(at(live.topic, 0));
			get(a.alterConsumerGroupOffsets(live.group, both).all());
			Member m = new Member(live.ledger, live.group, live.topic, Map.of());
			Member.awaitShares(2, m);
			var result = a.deleteConsumerGroupOffsets(live.group, Set.of(gone, kept));
			get(result.partitionResult(gone));
			Suite.fails(GroupSubscribedToTopicException.class, () -> get(result.partitionResult(kept)));
			m.stop();
			Suite.require(!offsets(a, live.group).containsKey(gone), "the offset is still there");
			Suite.require(offsets(a, live.group).containsKey(kept), "the other offset is gone, too");
			get(a.deleteConsumerGroupOffsets(live.group, Set.of(kept)).all());
			Suite.require(!offsets(a, live.group).containsKey(kept), "the offset of the empty group is still there");
			Suite.fails(GroupIdNotFoundException.class,
				() -> get(a.deleteConsumerGroupOffsets(Suite.name("none"), Set.of(kept)).all()));
			Suite.fails(UnknownTopicOrPartitionException.class,
				() -> get(a.deleteConsumerGroupOffsets(live.group, Set.of(new TopicPartition("no-topic", 0))).all()));
		}
	}

	private static void deleted() throws Exception {
		Live live = new Live("deleted");
		try (Admin a = Suite.admin()) {
			String empty = empty(a, at(live.topic, 1)), none = Suite.name("none");
			var result = a.deleteConsumerGroups(List.of(live.group, empty, none)).deletedGroups();
			Suite.fails(GroupNotEmptyException.class, () -> get(result.get(live.group)));
			Suite.fails(GroupIdNotFoundException.class, () -> get(result.get(none)));
			get(result.get(empty));
			Suite.equal(Map.of(), offsets(a, empty), "offsets of the deleted group");
			absent(a, empty);
			Suite.equal(ConsumerGroupState.STABLE, describe(a, live.group).state(), "state of the live one");
			live.stop();
			get(a.deleteConsumerGroups(List.of(live.group)).all());
			Suite.fails(GroupIdNotFoundException.class, () -> get(a.deleteConsumerGroups(List.of(live.group)).all()));
			Suite.require(!list(a, new ListConsumerGroupsOptions()).containsKey(live.group), "it is still listed");
		}
	}

	/** Those that were removed come back as new members: the client joins again by itself. */
	private static void removed() throws Exception {
		Live live = new Live("removed");
		try (Admin a = Suite.admin()) {
			String before = describe(a, live.group).members().iterator().next().consumerId();
			get(a.removeMembersFromConsumerGroup(live.group, new RemoveMembersFromConsumerGroupOptions()).all());
			Suite.await("it has lost its partitions", () -> live.member.losses.get() == 1);
			Suite.await("and has them again", () -> live.member.partitions().size() == 2);
			String after = describe(a, live.group).members().iterator().next().consumerId();
			Suite.require(!before.equals(after), "the member id is as before");
		}
		live.stop();
	}

	private static void instancesRemoved() throws Exception {
		String t = Suite.topic("instances", 2), group = Suite.name("group");
		Ledger ledger = new Ledger();
		List<Member> members = Suite.repeat(2, i -> new Member(ledger, group, t, Map.of("group.instance.id", "i" + i)));
		Member.awaitShares(2, members);
		try (Admin a = Suite.admin()) {
			Suite.equal(Set.of("i0", "i1"), describe(a, group).members().stream().map(m -> m.groupInstanceId().get())
				.collect(Collectors.toSet()), "instances");
			members.get(1).stop();
			Suite.equal(2, describe(a, group).members().size(), "members while one is away");
			MemberToRemove away = new MemberToRemove("i1"), nobody = new MemberToRemove("i2");
			var result = a.removeMembersFromConsumerGroup(group, new RemoveMembersFromConsumerGroupOptions(Set.of(away, nobody)));
			get(result.memberResult(away));
			Suite.fails(UnknownMemberIdException.class, () -> get(result.memberResult(nobody)));
			Member.awaitShares(2, members.get(0));
			Suite.equal(1, describe(a, group).members().size(), "members");
		}
		members.get(0).stop();
		ledger.check();
	}

	private static void hundred() throws Exception {
		String t = Suite.topic("hundred", 1);
		List<String> groups = Suite.repeat(100, i -> Suite.name("hundred"));
		try (Admin a = Suite.admin()) {
			for (var r : Suite.repeat(100, i -> a.alterConsumerGroupOffsets(groups.get(i), at(t, i))))
				get(r.all());
			Map<String, ListConsumerGroupOffsetsSpec> wanted = new HashMap<>();
			groups.forEach(g -> wanted.put(g, new ListConsumerGroupOffsetsSpec()));
			var offsets = get(a.listConsumerGroupOffsets(wanted).all());
			for (int i = 0; i < 100; i++)
				Suite.equal(at(t, i), offsets.get(groups.get(i)), "offsets of group " + i);
			Suite.require(get(a.describeConsumerGroups(groups).all()).values().stream()
				.allMatch(d -> d.state() == ConsumerGroupState.EMPTY), "not all are empty");
			get(a.deleteConsumerGroups(groups).all());
			Set<String> left = list(a, new ListConsumerGroupsOptions()).keySet();
			Suite.require(groups.stream().noneMatch(left::contains), "some are still listed");
		}
	}
}
