// A member of a consumer group. Start it in two or three terminals, and produce.js in another: they share the partitions.
// Ctrl-C makes one leave, and the others take over what it had; whoever is started later goes on where the group was.
//
//	npm install && node group.js [group]
const { Kafka, logLevel } = require("kafkajs");

const kafka = new Kafka({
	clientId: "example-group",
	brokers: [process.env.BOOTSTRAP || "localhost:9092"],
	logLevel: logLevel.NOTHING, // it calls every rebalance an error
});

async function main() {
	const admin = kafka.admin();
	await admin.connect();
	await admin.createTopics({ topics: [{ topic: "ticks", numPartitions: 3 }] }); // false, and no error, if it is there
	await admin.disconnect();

	// Members see that others come or go between two fetches: with half a second's wait they soon do.
	const consumer = kafka.consumer({ groupId: process.argv[2] || "tick-readers", maxWaitTimeInMs: 500 });
	consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
		const mine = payload.memberAssignment.ticks || [];
		console.log(`joined${payload.isLeader ? " as the leader" : ""}; my partitions: ${mine.join(", ") || "none"}`);
	});
	consumer.on(consumer.events.REBALANCING, () => console.log("somebody came or went"));
	// Where the one connection breaks (its worker was killed), KafkaJS sometimes gives up. Then it is up to us.
	consumer.on(consumer.events.CRASH, ({ payload }) => payload.restart || process.exit(1));

	await consumer.connect();
	await consumer.subscribe({ topic: "ticks", fromBeginning: true });
	await consumer.run({
		eachMessage: async ({ partition, message }) => {
			console.log(`partition ${partition}, offset ${message.offset}: ${message.key} = ${message.value}`);
		}, // offsets are committed when a batch is done
	});

	for (const signal of ["SIGINT", "SIGTERM"]) {
		process.once(signal, async () => {
			await consumer.disconnect(); // commits, and leaves: the others need not wait until its session is over
			process.exit(0);
		});
	}
}

main().catch((error) => {
	console.error(error.message);
	process.exit(1);
});
