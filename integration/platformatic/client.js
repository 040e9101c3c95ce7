// What all cases use: one admin client, topics, producers, consumers.
import assert from 'node:assert/strict'
import { Admin, Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka'

export const base = { clientId: 'integration', bootstrapBrokers: [process.env.BOOTSTRAP], retries: 1, timeout: 5000 }
export const admin = new Admin(base)
export const name = what => `platformatic-${what}-${process.pid}`
export const numbers = (count, make = i => i) => Array.from({ length: count }, (_, i) => make(i))

export async function create (topic, partitions = 1, configs = []) {
  const [created] = await admin.createTopics({ topics: [topic], partitions, replicas: 1, configs })
  assert.deepEqual([created.name, created.partitions, created.replicas], [topic, partitions, 1])
  return created
}

export async function withProducer (options, body) {
  const producer = new Producer({ ...base, serializers: stringSerializers, ...options })
  try {
    return await body(producer)
  } finally {
    await producer.close()
  }
}

export async function withConsumer (body) {
  const consumer = new Consumer({ ...base, groupId: 'none', deserializers: stringDeserializers })
  try {
    return await body(consumer)
  } finally {
    await consumer.close(true)
  }
}

// The names of the protocol's errors, anywhere in an error.
export function apiIds (error) {
  return [error.apiId, ...[...(error.errors || []), ...(error.cause ? [error.cause] : [])].flatMap(apiIds)]
}

// Promise that must be rejected with the protocol's error of this name.
export async function refused (promise, apiId) {
  await assert.rejects(promise, error => {
    assert.ok(apiIds(error).includes(apiId), `${apiIds(error)} is not ${apiId}: ${error.stack}`)
    return true
  })
}
