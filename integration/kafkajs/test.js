// KafkaJS against a broker: its admin client, its producer, its group consumer.
//
//   npm install && npm test                        a broker on localhost:9092
//   KAFKA_BROKERS=host:port npm test               another one
//   CASE=pause npm test                            only cases whose name holds "pause"
//
// integration/run starts the same cases, with a broker of its own in BOOTSTRAP.
'use strict'

process.env.BOOTSTRAP = process.env.KAFKA_BROKERS || process.env.BOOTSTRAP || 'localhost:9092'

const { run, note } = require('../lib/cases')
const { admin, brokers } = require('./client')

async function main () {
  try {
    await admin.connect()
  } catch (error) {
    note(`no broker answers at ${brokers} (${error.message}). Start one: build/broker; or name another: KAFKA_BROKERS=host:port`)
    process.exit(1)
  }
  for (const part of ['./admin', './producer', './consumer', './groups', './deaths']) require(part)
  await run(() => admin.disconnect(), { tally: !process.env.BROKER_PID })
}

main()
