import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** The Admin client: cluster, topics, partitions, configs, offsets. */
final class AdminCases {
	private AdminCases() {
	}

	/** One call with an Admin of its own. */
	private interface With<T> {
		T on(Admin a) throws Exception;
	}

	private static <T> T with(With<T> f) throws Exception {
		try (Admin a = Suite.admin()) {
			return f.on(a);
		}
	}

	private static <T> T get(KafkaFuture<T> f) throws Exception {
		return f.get(20, TimeUnit.SECONDS);
	}

	private static CreateTopicsResult create(Admin a, NewTopic t) {
		return a.createTopics(List.of(t));
	}

	private static TopicDescription describe(Admin a, String topic) throws Exception {
		return get(a.describeTopics(List.of(topic)).topicNameValues().get(topic));
	}

	static void all() {
		Suite.check("describeCluster names this broker", AdminCases::cluster);
		Suite.check("createTopics with the broker's defaults (-1)", AdminCases::createDefaults);
		Suite.check("createTopics with configs, seen by describeConfigs", AdminCases::createConfigs);
		Suite.check("createTopics with an assignment by hand", AdminCases::createAssigned);
		Suite.check("createTopics refuses what Kafka refuses", AdminCases::createRefused);
		Suite.check("createTopics validateOnly creates nothing", AdminCases::validateOnly);
		Suite.check("describeTopics by name and by id", AdminCases::describeTopics);
		Suite.check("describeTopics of 300 partitions, 50 at a time", AdminCases::describePaged);
		Suite.check("listTopics", AdminCases::listTopics);
		Suite.check("createPartitions grows a topic, never shrinks it", AdminCases::createPartitions);
		Suite.check("deleteTopics by name and by id, and create again", AdminCases::deleteTopics);
		Suite.check("describeConfigs of the broker, with synonyms and texts", AdminCases::brokerConfigs);
		Suite.check("describeConfigs of a topic that is not there", AdminCases::unknownConfigs);
		Suite.check("listOffsets: earliest, latest, maxTimestamp, by time", AdminCases::listOffsets);
		Suite.check("listOffsets of an empty topic and of an unknown one", AdminCases::listOffsetsEmpty);
	}

	private static void cluster() throws Exception {
		with(a -> {
			DescribeClusterResult r = a.describeCluster();
			Collection<Node> nodes = get(r.nodes());
			Suite.equal(1, nodes.size(), "nodes");
			Node n = nodes.iterator().next();
			Suite.equal(Suite.bootstrap, n.host() + ":" + n.port(), "address");
			Suite.require(n.id() >= 0, "node id is negative");
			Suite.equal(n, get(r.controller()), "controller");
			Suite.require(!get(r.clusterId()).isEmpty(), "cluster id is empty");
			Suite.equal(null, get(r.authorizedOperations()), "authorized operations when not asked for");
			return null;
		});
	}

	private static void createDefaults() throws Exception {
		String t = Suite.name("defaults");
		with(a -> {
			CreateTopicsResult r = create(a, new NewTopic(t, java.util.Optional.empty(),
				java.util.Optional.empty()));
			get(r.all());
			Suite.settle();
			Suite.equal(1, get(r.numPartitions(t)), "num.partitions of a fresh broker");
			Suite.equal(1, get(r.replicationFactor(t)), "replication factor");
			Suite.require(!get(r.topicId(t)).equals(Uuid.ZERO_UUID), "topic id is zero");
			Suite.require(get(r.config(t)).get("retention.ms") != null, "no retention.ms in the answer");
			Suite.equal(get(r.topicId(t)), describe(a, t).topicId(), "topic id");
			return null;
		});
	}

	private static Config topicConfig(Admin a, String topic) throws Exception {
		ConfigResource r = new ConfigResource(ConfigResource.Type.TOPIC, topic);
		return get(a.describeConfigs(List.of(r)).values().get(r));
	}

	private static void createConfigs() throws Exception {
		String t = Suite.topic("configs", 3,
			Map.of("retention.ms", "123456", "max.message.bytes", "54321", "cleanup.policy", "compact"));
		Config c = with(a -> topicConfig(a, t));
		Suite.equal("123456", c.get("retention.ms").value(), "retention.ms");
		Suite.equal("54321", c.get("max.message.bytes").value(), "max.message.bytes");
		Suite.equal("compact", c.get("cleanup.policy").value(), "cleanup.policy");
		Suite.equal(ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, c.get("retention.ms").source(), "source");
		Suite.require(!c.get("retention.ms").isDefault(), "retention.ms counts as default");
		ConfigEntry type = c.get("message.timestamp.type");
		Suite.require(type != null, "no message.timestamp.type");
		Suite.equal("CreateTime", type.value(), "message.timestamp.type");
		Suite.require(type.isDefault(), "message.timestamp.type does not count as default");
	}

	private static void createAssigned() throws Exception {
		String t = Suite.name("assigned");
		with(a -> {
			int node = get(a.describeCluster().nodes()).iterator().next().id();
			get(create(a, new NewTopic(t, Map.of(0, List.of(node), 1, List.of(node)))).all());
			Suite.settle();
			Suite.equal(2, describe(a, t).partitions().size(), "partitions");
			return null;
		});
	}

	private static void refuse(Admin a, Class<? extends Throwable> error, NewTopic t) {
		Suite.fails(error, () -> get(create(a, t).all()));
	}

	private static void createRefused() throws Exception {
		String t = Suite.topic("refused", 1);
		with(a -> {
			refuse(a, TopicExistsException.class, new NewTopic(t, 1, (short)1));
			refuse(a, InvalidTopicException.class, new NewTopic("no/slash", 1, (short)1));
			refuse(a, InvalidTopicException.class, new NewTopic("..", 1, (short)1));
			refuse(a, InvalidTopicException.class, new NewTopic("x".repeat(250), 1, (short)1));
			refuse(a, InvalidPartitionsException.class, new NewTopic(Suite.name("r"), 0, (short)1));
			refuse(a, InvalidReplicationFactorException.class, new NewTopic(Suite.name("r"), 1, (short)3));
			refuse(a, InvalidConfigurationException.class,
				new NewTopic(Suite.name("r"), 1, (short)1).configs(Map.of("no.such.option", "1")));
			refuse(a, InvalidConfigurationException.class,
				new NewTopic(Suite.name("r"), 1, (short)1).configs(Map.of("retention.ms", "soon")));
			return null;
		});
	}

	private static void validateOnly() throws Exception {
		String t = Suite.name("dry");
		with(a -> {
			get(a.createTopics(List.of(new NewTopic(t, 2, (short)1)),
				new CreateTopicsOptions().validateOnly(true)).all());
			Suite.require(!get(a.listTopics().names()).contains(t), "the topic was created");
			return null;
		});
	}

	private static void checkPartitions(TopicDescription d, int n) {
		Suite.equal(n, d.partitions().size(), "partitions");
		for (int i = 0; i < n; i++) {
			TopicPartitionInfo p = d.partitions().get(i);
			Suite.equal(i, p.partition(), "partition number");
			Suite.require(p.leader() != null && p.leader().port() > 0, "partition " + i + " has no leader");
			Suite.equal(List.of(p.leader()), p.replicas(), "replicas");
			Suite.equal(List.of(p.leader()), p.isr(), "in-sync replicas");
		}
	}

	private static void describeTopics() throws Exception {
		String t = Suite.topic("describe", 3);
		with(a -> {
			TopicDescription d = describe(a, t);
			checkPartitions(d, 3);
			Suite.require(!d.isInternal(), "internal");
			Suite.equal(null, d.authorizedOperations(), "authorized operations when not asked for");
			TopicDescription byId = get(a.describeTopics(TopicCollection.ofTopicIds(List.of(d.topicId())))
				.topicIdValues().get(d.topicId()));
			Suite.equal(t, byId.name(), "name of the topic with that id");
			checkPartitions(byId, 3);
			Suite.fails(UnknownTopicOrPartitionException.class, () -> describe(a, Suite.name("none")));
			Uuid other = Uuid.randomUuid();
			Suite.fails(UnknownTopicIdException.class, () -> get(a.describeTopics(
				TopicCollection.ofTopicIds(List.of(other))).topicIdValues().get(other)));
			return null;
		});
	}

	private static void describePaged() throws Exception {
		String t = Suite.topic("wide", 300);
		String u = Suite.topic("wide", 20);
		with(a -> {
			Map<String, TopicDescription> all = get(a.describeTopics(List.of(t, u),
				new DescribeTopicsOptions().partitionSizeLimitPerResponse(50)).allTopicNames());
			checkPartitions(all.get(t), 300);
			checkPartitions(all.get(u), 20);
			return null;
		});
	}

	private static void listTopics() throws Exception {
		String t = Suite.topic("list", 1);
		String u = Suite.topic("list", 1);
		with(a -> {
			Set<String> names = get(a.listTopics().names());
			Suite.require(names.contains(t) && names.contains(u), "topics are missing from " + names);
			Suite.equal(describe(a, t).topicId(), get(a.listTopics().namesToListings()).get(t).topicId(), "id");
			return null;
		});
	}

	private static void createPartitions() throws Exception {
		String t = Suite.topic("grow", 1);
		ProducerCases.send(t, 5, Map.of());
		with(a -> {
			get(a.createPartitions(Map.of(t, NewPartitions.increaseTo(4))).all());
			Suite.settle();
			checkPartitions(describe(a, t), 4);
			for (int n : new int[] { 4, 2 })
				Suite.fails(InvalidPartitionsException.class,
					() -> get(a.createPartitions(Map.of(t, NewPartitions.increaseTo(n))).all()));
			Suite.fails(UnknownTopicOrPartitionException.class,
				() -> get(a.createPartitions(Map.of(Suite.name("none"), NewPartitions.increaseTo(3))).all()));
			return null;
		});
		Suite.equal(0L, ProducerCases.sendOne(t, 3, "k", "v", Map.of()).offset(), "first offset of partition 3");
		Suite.equal(5L, ProducerCases.sendOne(t, 0, "k", "v", Map.of()).offset(), "next offset of partition 0");
	}

	private static void deleteTopics() throws Exception {
		String t = Suite.topic("delete", 2);
		String u = Suite.topic("delete", 2);
		ProducerCases.send(t, 10, Map.of());
		with(a -> {
			Uuid first = describe(a, t).topicId();
			Uuid second = describe(a, u).topicId();
			get(a.deleteTopics(List.of(t)).all());
			get(a.deleteTopics(TopicCollection.ofTopicIds(List.of(second))).all());
			Suite.settle();
			Set<String> names = get(a.listTopics().names());
			Suite.require(!names.contains(t) && !names.contains(u), "deleted topics are still listed");
			Suite.fails(UnknownTopicOrPartitionException.class, () -> get(a.deleteTopics(List.of(t)).all()));
			Suite.fails(UnknownTopicIdException.class,
				() -> get(a.deleteTopics(TopicCollection.ofTopicIds(List.of(second))).all()));
			get(create(a, new NewTopic(t, 1, (short)1)).all());
			Suite.settle();
			Suite.require(!describe(a, t).topicId().equals(first), "the new topic has the old one's id");
			return null;
		});
		Suite.equal(0L, ProducerCases.sendOne(t, 0, "k", "v", Map.of()).offset(), "first offset of the new topic");
	}

	private static void brokerConfigs() throws Exception {
		with(a -> {
			Node n = get(a.describeCluster().nodes()).iterator().next();
			ConfigResource r = new ConfigResource(ConfigResource.Type.BROKER, n.idString());
			Config c = get(a.describeConfigs(List.of(r), new DescribeConfigsOptions().includeSynonyms(true)
				.includeDocumentation(true)).values().get(r));
			for (String name : List.of("message.max.bytes", "num.partitions", "auto.create.topics.enable")) {
				ConfigEntry e = c.get(name);
				Suite.require(e != null, "no " + name);
				Suite.require(e.value() != null && !e.value().isEmpty(), name + " has no value");
				Suite.require(e.documentation() != null && !e.documentation().isEmpty(),
					name + " has no text");
				Suite.require(!e.synonyms().isEmpty(), name + " has no synonyms");
			}
			Suite.equal("1048588", c.get("message.max.bytes").value(), "message.max.bytes");
			Suite.equal(ConfigEntry.ConfigType.INT, c.get("message.max.bytes").type(), "type");
			return null;
		});
	}

	private static void unknownConfigs() throws Exception {
		with(a -> {
			Suite.fails(UnknownTopicOrPartitionException.class, () -> topicConfig(a, Suite.name("none")));
			return null;
		});
	}

	private static ListOffsetsResultInfo offset(Admin a, TopicPartition p, OffsetSpec s) throws Exception {
		return get(a.listOffsets(Map.of(p, s)).partitionResult(p));
	}

	private static void listOffsets() throws Exception {
		String t = Suite.topic("offsets", 1);
		TopicPartition p = new TopicPartition(t, 0);
		long[] times = { Suite.LATELY, Suite.LATELY + 9000, Suite.LATELY + 5000 };
		for (long time : times)
			ProducerCases.sendAt(t, time);
		with(a -> {
			Suite.equal(0L, offset(a, p, OffsetSpec.earliest()).offset(), "earliest");
			Suite.equal(3L, offset(a, p, OffsetSpec.latest()).offset(), "latest");
			ListOffsetsResultInfo max = offset(a, p, OffsetSpec.maxTimestamp());
			Suite.equal(1L, max.offset(), "offset of the greatest timestamp");
			Suite.equal(times[1], max.timestamp(), "greatest timestamp");
			ListOffsetsResultInfo at = offset(a, p, OffsetSpec.forTimestamp(times[0] + 1));
			Suite.equal(1L, at.offset(), "first offset at or after a time");
			Suite.equal(times[1], at.timestamp(), "its timestamp");
			Suite.equal(-1L, offset(a, p, OffsetSpec.forTimestamp(times[1] + 1)).offset(), "after the last");
			return null;
		});
	}

	private static void listOffsetsEmpty() throws Exception {
		String t = Suite.topic("empty", 1);
		TopicPartition p = new TopicPartition(t, 0);
		with(a -> {
			Suite.equal(0L, offset(a, p, OffsetSpec.earliest()).offset(), "earliest");
			Suite.equal(0L, offset(a, p, OffsetSpec.latest()).offset(), "latest");
			Suite.equal(-1L, offset(a, p, OffsetSpec.maxTimestamp()).offset(), "maxTimestamp");
			Suite.equal(-1L, offset(a, p, OffsetSpec.forTimestamp(0)).offset(), "by time");
			return null;
		});
		try (Admin a = Admin.create(Map.of("bootstrap.servers", Suite.bootstrap, "request.timeout.ms", "1500",
			     "default.api.timeout.ms", "1500"))) {
			// Retried until the time is up; either way it must not pass for an answer.
			Suite.fails(org.apache.kafka.common.errors.ApiException.class,
				() -> offset(a, new TopicPartition(Suite.name("none"), 0), OffsetSpec.latest()));
		}
	}
}
