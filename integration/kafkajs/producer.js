// KafkaJS's producer; what it wrote is read by kcat.
'use strict'

const assert = require('node:assert/strict')
const { CompressionTypes } = require('kafkajs')
const { test, note, kcat, kcatConsume } = require('../lib/cases')
const { admin, name, numbers, create, withProducer, refused, byPartition } = require('./client')

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
