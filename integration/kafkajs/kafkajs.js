// KafkaJS: its admin client, its producer and its group consumer. What it writes is read by kcat, and the other way round.
'use strict'

const assert = require('node:assert/strict')
const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = require('kafkajs')
const SnappyCodec = require('kafkajs-snappy')
const lz4 = require('lz4js')
const xxh32 = require('lz4js/xxh32')
const { test, run, note, kcat, kcatConsume } = require('../lib/cases')

CompressionCodecs[CompressionTypes.Snappy] = SnappyCodec

// lz4js marks its blocks as depending on each other, which Kafka's own clients do not read. In a frame of one block
// nothing does: say so, and put the header's checksum right.
function independentFrame (frame) {
  frame[4] |= 0x20
  frame[6] = xxh32.hash(0, frame, 4, 2) >> 8
  return Buffer.from(frame)
}

CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async encoder => independentFrame(lz4.compress(encoder.buffer)),
  decompress: async buffer => Buffer.from(lz4.decompress(buffer))
})

const bootstrap = process.env.BOOTSTRAP
const client = new Kafka({ clientId: 'integration', brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 3 } })
const admin = client.admin()
const name = what => `kafkajs-${what}-${process.pid}`
const numbers = (count, make = i => i) => Array.from({ length: count }, (_, i) => make(i))

async function create (topic, numPartitions = 1, configEntries = []) {
  assert.equal(await admin.createTopics({ topics: [{ topic, numPartitions, configEntries }] }), true)
}

async function withProducer (options, body) {
  const producer = client.producer({ allowAutoTopicCreation: false, ...options })
  await producer.connect()
  try {
    return await body(producer)
  } finally {
    await producer.disconnect()
  }
}

// Promise that must be rejected with the protocol error of this name, at any depth.
async function refused (promise, type) {
  await assert.rejects(promise, error => {
    const found = []
    for (let e = error; e; e = e.cause) found.push(e.type, ...(e.errors || []).map(one => one.type))
    assert.ok(found.includes(type), `${found} is not ${type}: ${error.stack}`)
    return true
  })
}

// --- admin -----------------------------------------------------------------------------------------------------

test('admin: connects, describes the cluster', async () => {
  await admin.connect()
  const { brokers, controller, clusterId } = await admin.describeCluster()
  const [host, port] = bootstrap.split(':')
  assert.deepEqual(brokers.map(b => [b.host, b.port]), [[host, Number(port)]])
  assert.equal(controller, brokers[0].nodeId)
  assert.ok(clusterId)
})

test('admin: createTopics with 300 partitions, metadata, listTopics', async () => {
  const topic = name('wide')
  await create(topic, 300)
  assert.ok((await admin.listTopics()).includes(topic))
  const { topics: [found] } = await admin.fetchTopicMetadata({ topics: [topic] })
  assert.equal(found.name, topic)
  assert.deepEqual(found.partitions.map(p => p.partitionId).sort((a, b) => a - b), numbers(300))
  for (const p of found.partitions) assert.deepEqual([p.partitionErrorCode, p.isr, p.replicas], [0, [p.leader], [p.leader]])
})

test('admin: createTopics of what exists, of many at once, only to validate', async () => {
  const topic = name('twice')
  await create(topic)
  assert.equal(await admin.createTopics({ topics: [{ topic }] }), false)
  const several = numbers(20, i => ({ topic: `${topic}-${i}`, numPartitions: 3 }))
  assert.equal(await admin.createTopics({ topics: several }), true)
  const listed = await admin.listTopics()
  for (const one of several) assert.ok(listed.includes(one.topic))
  assert.equal(await admin.createTopics({ validateOnly: true, topics: [{ topic: `${topic}-dry` }], waitForLeaders: false }), true)
  assert.ok(!(await admin.listTopics()).includes(`${topic}-dry`))
})

test('admin: createTopics refuses what Kafka refuses', async () => {
  const topic = name('refused')
  await refused(admin.createTopics({ topics: [{ topic, replicationFactor: 3 }] }), 'INVALID_REPLICATION_FACTOR')
  await refused(admin.createTopics({ topics: [{ topic, numPartitions: 0 }] }), 'INVALID_PARTITIONS')
  await refused(admin.createTopics({ topics: [{ topic: `${topic}/slash` }] }), 'INVALID_TOPIC_EXCEPTION')
  await refused(admin.createTopics({ topics: [{ topic, configEntries: [{ name: 'retention.ms', value: 'x' }] }] }), 'INVALID_CONFIG')
  assert.ok(!(await admin.listTopics()).includes(topic))
})

test('admin: createPartitions', async () => {
  const topic = name('grow')
  await create(topic, 2)
  await admin.createPartitions({ topicPartitions: [{ topic, count: 7 }] })
  const { topics: [found] } = await admin.fetchTopicMetadata({ topics: [topic] })
  assert.equal(found.partitions.length, 7)
  await refused(admin.createPartitions({ topicPartitions: [{ topic, count: 7 }] }), 'INVALID_PARTITIONS')
  await withProducer({}, async producer => {
    const [sent] = await producer.send({ topic, messages: [{ value: 'new', partition: 6 }] })
    assert.deepEqual([sent.partition, sent.baseOffset], [6, '0'])
  })
})

test('admin: describeConfigs of a topic and of the broker', async () => {
  const topic = name('configs')
  await create(topic, 1, [{ name: 'retention.ms', value: '86400000' }, { name: 'cleanup.policy', value: 'compact' }])
  const answer = await admin.describeConfigs({ resources: [{ type: 2, name: topic }] })
  const [resource] = answer.resources
  const value = key => resource.configEntries.find(e => e.configName === key).configValue
  assert.deepEqual([resource.errorCode, value('retention.ms'), value('cleanup.policy')], [0, '86400000', 'compact'])
  const one = await admin.describeConfigs({ resources: [{ type: 2, name: topic, configNames: ['retention.ms'] }] })
  assert.deepEqual(one.resources[0].configEntries.map(e => e.configName), ['retention.ms'])
  const { brokers: [{ nodeId }] } = await admin.describeCluster()
  const broker = await admin.describeConfigs({ resources: [{ type: 4, name: String(nodeId) }] })
  assert.ok(broker.resources[0].configEntries.some(e => e.configName === 'num.partitions'))
})

test('admin: fetchTopicOffsets and fetchTopicOffsetsByTimestamp', async () => {
  const topic = name('offsets')
  await create(topic, 2)
  assert.deepEqual(byPartition(await admin.fetchTopicOffsets(topic)), [[0, '0', '0', '0'], [1, '0', '0', '0']])
  await withProducer({}, producer => producer.send({
    topic, messages: numbers(50, i => ({ value: `${i}`, partition: 1, timestamp: String(1000000 + i * 10) }))
  }))
  assert.deepEqual(byPartition(await admin.fetchTopicOffsets(topic)), [[0, '0', '0', '0'], [1, '50', '50', '0']])
  const at = async ms => (await admin.fetchTopicOffsetsByTimestamp(topic, ms)).find(p => p.partition === 1).offset
  assert.deepEqual([await at(1), await at(1000101), await at(1000490)], ['0', '11', '49'])
  assert.equal(await at(1000491), '50', 'behind the last record KafkaJS takes the end')
})

const byPartition = found => found.map(p => [p.partition, p.offset, p.high, p.low]).sort((a, b) => a[0] - b[0])

test('admin: deleteTopics, and a topic of the same name is a new one', async () => {
  const topic = name('deleted')
  for (let round = 0; round < 3; round++) {
    await create(topic, 2)
    await withProducer({}, async producer => {
      const [sent] = await producer.send({ topic, messages: [{ value: `round ${round}`, partition: 1 }] })
      assert.equal(sent.baseOffset, '0')
    })
    await admin.deleteTopics({ topics: [topic] })
    assert.ok(!(await admin.listTopics()).includes(topic))
  }
  await refused(admin.deleteTopics({ topics: [topic] }), 'UNKNOWN_TOPIC_OR_PARTITION')
})

// --- producer --------------------------------------------------------------------------------------------------

for (const acks of [-1, 1, 0]) {
  test(`producer: acks=${acks}; kcat reads keys, headers and timestamps`, async () => {
    const topic = name(`acks${acks}`)
    await create(topic)
    const messages = numbers(200, i => ({
      key: `k${i}`, value: `v${i}`, timestamp: String(1700000000000 + i), headers: { n: `${i}`, bytes: Buffer.from('ü') }
    }))
    await withProducer({}, async producer => {
      const answer = await producer.send({ topic, acks, messages })
      if (acks !== 0) assert.deepEqual(answer.map(a => [a.errorCode, a.partition, a.baseOffset]), [[0, 0, '0']])
    })
    // -c, not -e: after acks=0 the messages may still be on their way.
    const out = kcat('-C', '-q', '-J', '-t', topic, '-o', '0', '-c', '200')
    const got = out.split('\n').filter(Boolean).map(line => JSON.parse(line))
    assert.deepEqual(got.map(m => [m.offset, m.key, m.payload, m.ts]), messages.map((m, i) => [i, m.key, m.value, Number(m.timestamp)]))
    assert.deepEqual(got[7].headers, ['n', '7', 'bytes', 'ü'])
  })
}

for (const codec of ['None', 'GZIP', 'Snappy', 'LZ4']) {
  test(`producer: ${codec}; kcat reads`, async () => {
    const topic = name(`codec-${codec}`)
    await create(topic)
    const values = numbers(1000, i => `${codec} ${i} ${'abc'.repeat(i % 40)}`)
    await withProducer({}, producer => producer.send({
      topic, compression: CompressionTypes[codec], messages: values.map(value => ({ value, partition: 0 }))
    }))
    assert.deepEqual(kcatConsume(topic).map(m => m.payload), values)
  })
}

test('producer: null and empty values', async () => {
  const topic = name('null')
  await create(topic)
  await withProducer({}, producer => producer.send({
    topic, messages: [{ key: 'a', value: null }, { key: '', value: '' }, { value: 'x' }]
  }))
  const form = kcat('-C', '-q', '-e', '-t', topic, '-f', '%K %S|')
  assert.equal(form, '1 -1|0 0|-1 1|')
})

test('producer: sendBatch over topics and partitions', async () => {
  const topics = numbers(5, i => name(`batch-${i}`))
  for (const topic of topics) await create(topic, 4)
  await withProducer({}, async producer => {
    const answer = await producer.sendBatch({
      topicMessages: topics.map(topic => ({ topic, messages: numbers(40, i => ({ value: `${topic} ${i}`, partition: i % 4 })) }))
    })
    assert.equal(answer.length, 20)
    for (const one of answer) assert.deepEqual([one.errorCode, one.baseOffset], [0, '0'])
  })
  for (const topic of topics) {
    const offsets = byPartition(await admin.fetchTopicOffsets(topic))
    assert.deepEqual(offsets, numbers(4, i => [i, '10', '10', '0']))
  }
})

test('producer: idempotent, many sends under way, each message once and in order', async () => {
  const topic = name('idempotent')
  await create(topic)
  const begin = Date.now()
  await withProducer({ idempotent: true, maxInFlightRequests: 5 }, async producer => {
    for (let round = 0; round < 40; round++) {
      await producer.send({ topic, acks: -1, messages: numbers(50, i => ({ value: String(round * 50 + i) })) })
    }
  })
  note(`40 idempotent sends, one after the other: ${Date.now() - begin} ms`)
  assert.deepEqual(kcatConsume(topic).map(m => Number(m.payload)), numbers(2000))
})

test('producer: 200 sends at once', async () => {
  const topic = name('burst')
  await create(topic, 6)
  await withProducer({}, async producer => {
    const answers = await Promise.all(numbers(200, i => producer.send({ topic, messages: [{ value: `${i}`, partition: i % 6 }] })))
    const places = answers.flat().map(a => `${a.partition}/${a.baseOffset}`)
    assert.equal(new Set(places).size, 200, 'each at a place of its own')
  })
  assert.deepEqual(kcatConsume(topic).map(m => Number(m.payload)).sort((a, b) => a - b), numbers(200))
})

test('producer: twenty clients at once', async () => {
  const topic = name('crowd')
  await create(topic, 3)
  await Promise.all(numbers(20, n => withProducer({}, producer => producer.send({
    topic, messages: numbers(50, i => ({ key: `${n}`, value: `${n}-${i}` }))
  }))))
  const got = kcatConsume(topic)
  for (let n = 0; n < 20; n++) {
    assert.deepEqual(got.filter(m => m.key === `${n}`).map(m => m.payload), numbers(50, i => `${n}-${i}`))
  }
})

test('producer: too large a message is refused, the next is taken', async () => {
  const topic = name('large')
  await create(topic, 1, [{ name: 'max.message.bytes', value: '5000' }])
  await withProducer({}, async producer => {
    await refused(producer.send({ topic, messages: [{ value: 'x'.repeat(6000) }] }), 'MESSAGE_TOO_LARGE')
    const [sent] = await producer.send({ topic, messages: [{ value: 'small' }] })
    assert.equal(sent.baseOffset, '0')
  })
})

test('producer: a keyless message to a compacted topic is refused', async () => {
  const topic = name('compacted')
  await create(topic, 1, [{ name: 'cleanup.policy', value: 'compact' }])
  await withProducer({}, async producer => {
    await assert.rejects(producer.send({ topic, messages: [{ value: 'no key' }] }))
    const [sent] = await producer.send({ topic, messages: [{ key: 'k', value: 'v' }] })
    assert.equal(sent.baseOffset, '0')
  })
})

test('producer: an unknown topic is created where that is allowed', async () => {
  const topic = name('auto')
  await withProducer({ allowAutoTopicCreation: true, retry: { retries: 8 } }, async producer => {
    const [sent] = await producer.send({ topic, messages: [{ value: 'first' }] })
    assert.equal(sent.baseOffset, '0')
  })
  await withProducer({ allowAutoTopicCreation: false, retry: { retries: 1 } }, producer =>
    assert.rejects(producer.send({ topic: `${topic}-no`, messages: [{ value: 'x' }] })))
  const topics = await admin.listTopics()
  assert.deepEqual([topics.includes(topic), topics.includes(`${topic}-no`)], [true, false])
})

test('kcat writes every codec, KafkaJS sees where it ends', async () => {
  const topic = name('from-kcat')
  await create(topic)
  const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
  for (const codec of codecs) kcat('-P', '-t', topic, '-z', codec, { input: 'message\n'.repeat(100) })
  assert.deepEqual(byPartition(await admin.fetchTopicOffsets(topic)), [[0, '500', '500', '0']])
})

// --- groups ----------------------------------------------------------------------------------------------------

const members = []

// A running group consumer: what it got, and what it was assigned last.
async function member (groupId, topic, options = {}) {
  const consumer = client.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 200, maxWaitTimeInMs: 50, ...options })
  const found = { consumer, values: [], assigned: [], joins: 0 }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    found.joins++
    found.assigned = payload.memberAssignment[topic] || []
  })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => { found.values.push(message.value.toString()) } })
  members.push(found)
  return found
}

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

async function until (condition, what, timeoutMs = 20000) {
  for (const end = Date.now() + timeoutMs; !condition(); await sleep(10)) assert.ok(Date.now() < end, `not in time: ${what}`)
}

const send = (topic, values) => withProducer({}, producer => producer.send({
  topic, messages: values.map((value, i) => ({ value: `${value}`, partition: i % 4 }))
}))
const all = list => list.flatMap(m => m.values)
const isShared = list => {
  const partitions = list.flatMap(m => m.assigned)
  return partitions.length === 4 && new Set(partitions).size === 4 && list.every(m => m.assigned.length > 0)
}

test('group: one member reads all; its successor goes on', async () => {
  const topic = name('group-one')
  await create(topic, 4)
  await send(topic, numbers(40))
  const first = await member(`${topic}-g`, topic)
  await until(() => new Set(first.values).size === 40, 'all is read')
  await first.consumer.disconnect()
  await send(topic, numbers(8, i => 100 + i))
  const second = await member(`${topic}-g`, topic)
  await until(() => second.values.length >= 8, 'what is new is read')
  await second.consumer.disconnect()
  assert.deepEqual(second.values.map(Number).sort((a, b) => a - b), numbers(8, i => 100 + i))
  const offsets = await admin.fetchOffsets({ groupId: `${topic}-g`, topics: [topic] })
  assert.deepEqual(offsets[0].partitions.map(p => p.offset), ['12', '12', '12', '12'])
})

test('group: three members share, one leaves, one comes', async () => {
  const topic = name('group-three')
  await create(topic, 4)
  let list = await Promise.all(numbers(3, () => member(`${topic}-g`, topic)))
  await until(() => isShared(list), 'three share')
  await send(topic, numbers(40))
  await until(() => new Set(all(list)).size === 40, 'all is read')
  await list[0].consumer.disconnect()
  list = list.slice(1)
  await until(() => isShared(list), 'two share')
  list.push(await member(`${topic}-g`, topic))
  await until(() => isShared(list), 'three share again')
  const { groups: [group] } = await admin.describeGroups([`${topic}-g`])
  assert.deepEqual([group.state, group.protocolType, group.members.length], ['Stable', 'consumer', 3])
  await assert.rejects(admin.deleteGroups([`${topic}-g`]), error => error.groups[0].error.type === 'NON_EMPTY_GROUP')
  await Promise.all(list.map(m => m.consumer.disconnect()))
}, 60000)

test('group: admin lists, describes, resets offsets, deletes', async () => {
  const topic = name('group-admin')
  const groupId = `${topic}-g`
  await create(topic, 4)
  await send(topic, numbers(8))
  await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '1' }, { partition: 3, offset: '2' }] })
  assert.deepEqual(byPartition(await admin.fetchOffsets({ groupId, topics: [topic] }).then(([t]) => t.partitions.map(p => ({ ...p, high: p.offset, low: '' })))).map(p => p[1]), ['1', '-1', '-1', '2'])
  assert.ok((await admin.listGroups()).groups.some(g => g.groupId === groupId))
  const { groups: [group] } = await admin.describeGroups([groupId])
  assert.equal(group.state, 'Empty')
  await admin.resetOffsets({ groupId, topic, earliest: true })
  const got = await member(groupId, topic)
  await until(() => new Set(got.values).size === 8, 'all is read from the beginning')
  await got.consumer.disconnect()
  await admin.deleteGroups([groupId])
  assert.ok(!(await admin.listGroups()).groups.some(g => g.groupId === groupId))
}, 60000)

run(() => admin.disconnect())
