// KafkaJS: its admin client and its producer. What it writes is read by kcat, and the other way round.
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

run(() => admin.disconnect())
