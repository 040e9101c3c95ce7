// Topics: create one with three partitions, look at it, make it larger.
//
//	npm install && node topics.js
const { Kafka, ConfigResourceTypes, logLevel } = require("kafkajs");

const kafka = new Kafka({
	clientId: "example-topics",
	brokers: [process.env.BOOTSTRAP || "localhost:9092"],
	logLevel: logLevel.ERROR,
});

async function main() {
	const admin = kafka.admin();
	await admin.connect();

	const created = await admin.createTopics({
		topics: [
			{
				topic: "orders",
				numPartitions: 3,
				configEntries: [{ name: "retention.ms", value: "86400000" }],
			},
		],
	});
	console.log(created ? "created orders" : "orders is there already");

	const { topics } = await admin.fetchTopicMetadata({ topics: ["orders"] });
	if (topics[0].partitions.length < 4)
		await admin.createPartitions({ topicPartitions: [{ topic: "orders", count: 4 }] });

	for (const { partition, low, high } of await admin.fetchTopicOffsets("orders"))
		console.log(`partition ${partition}: offsets ${low} to ${high}`);

	const { resources } = await admin.describeConfigs({
		resources: [{ type: ConfigResourceTypes.TOPIC, name: "orders", configNames: ["retention.ms"] }],
	});
	console.log(`retention.ms is ${resources[0].configEntries[0].configValue}`);
	await admin.disconnect();
}

main().catch((error) => {
	console.error(error.message);
	process.exit(1);
});
