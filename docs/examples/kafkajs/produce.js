// A producer that goes on for a while, so that there is time to kill the worker that serves it.
//
//	npm install && node produce.js [how many, 10 a second]
//
// Each message is waited for, with acks=-1: what is printed is on the broker's disk. KafkaJS finds a new connection by
// itself when its worker dies.
const { Kafka, Partitioners, logLevel } = require("kafkajs");

const kafka = new Kafka({
	clientId: "example-producer",
	brokers: [process.env.BOOTSTRAP || "localhost:9092"],
	logLevel: logLevel.WARN,
});

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function main() {
	const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
	await producer.connect();

	for (let i = 0; i < Number(process.argv[2] || 100); i++) {
		const [answer] = await producer.send({
			topic: "ticks",
			acks: -1,
			messages: [{ key: `tick-${i}`, value: JSON.stringify({ i, at: new Date() }) }],
		});
		console.log(`tick-${i} is at partition ${answer.partition}, offset ${answer.baseOffset}`);
		await sleep(100);
	}
	await producer.disconnect();
}

main().catch((error) => {
	console.error(error.message);
	process.exit(1);
});
