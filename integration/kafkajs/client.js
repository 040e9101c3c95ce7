// What all cases use: one KafkaJS client and its admin, topics, producers.
'use strict'

const assert = require('node:assert/strict')
const { Kafka, logLevel } = require('kafkajs')
require('./codecs')

const brokers = process.env.BOOTSTRAP.split(',')

function makeClient (clientId, options = {}) {
  return new Kafka({ clientId, brokers, logLevel: logLevel.NOTHING, retry: { retries: 3 }, ...options })
}

const client = makeClient('integration')
const admin = client.admin()
const name = what => `kafkajs-${what}-${process.pid}`
const numbers = (count, make = i => i) => Array.from({ length: count }, (_, i) => make(i))
const byNumber = (a, b) => a - b

async function create (topic, numPartitions = 1, configEntries = []) {
  assert.equal(await admin.createTopics({ topics: [{ topic, numPartitions, configEntries }] }), true)
}

async function withProducer (options, body, from = client) {
  const producer = from.producer({ allowAutoTopicCreation: false, ...options })
  await producer.connect()
  try {
    return await body(producer)
  } finally {
    await producer.disconnect()
  }
}

// Values in turn to the partitions.
const send = (topic, values, partitions = 1, from = client) => withProducer({}, producer => producer.send({
  topic, messages: values.map((value, i) => ({ value: `${value}`, partition: i % partitions }))
}), from)

// Promise that must be rejected with the protocol error of this name, at any depth.
async function refused (promise, type) {
  await assert.rejects(promise, error => {
    const found = []
    const walk = e => {
      found.push(e.type)
      for (const one of [e.cause, e.error, ...(e.errors || []), ...(e.groups || [])]) if (one) walk(one)
    }
    walk(error)
    assert.ok(found.includes(type), `${found} is not ${type}: ${error.stack}`)
    return true
  })
}

const byPartition = found => found.map(p => [p.partition, p.offset, p.high, p.low]).sort((a, b) => a[0] - b[0])

// What a group has committed, by partition: '-1' where nothing.
async function committed (groupId, topic, from = admin) {
  const [found] = await from.fetchOffsets({ groupId, topics: [topic] })
  return found.partitions.sort((a, b) => a.partition - b.partition).map(p => p.offset)
}

module.exports = { brokers, makeClient, client, admin, name, numbers, byNumber, create, withProducer, send, refused, byPartition, committed }
