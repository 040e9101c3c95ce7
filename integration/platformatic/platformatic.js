// @platformatic/kafka: a client that speaks only the newest versions of each request. Here: its admin client, its producer,
// single fetches and offset look-ups; its consumer groups are in groups.js.
import assert from 'node:assert/strict'
import { ConfigResourceTypes, ProduceAcks } from '@platformatic/kafka'
import cases from '../lib/cases.js'
import { admin, create, name, numbers, refused, withConsumer, withProducer } from './client.js'
import './groups.js'

const { test, run, note, kcat, kcatConsume } = cases

test('admin: create, list, delete; the topic has an id', async () => {
  const topic = name('admin')
  const { id } = await create(topic, 30)
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f-]{27}$/)
  assert.ok((await admin.listTopics()).includes(topic))
  await refused(admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 }), 'TOPIC_ALREADY_EXISTS')
  await admin.deleteTopics({ topics: [topic] })
  assert.ok(!(await admin.listTopics()).includes(topic))
  await refused(admin.deleteTopics({ topics: [topic] }), 'UNKNOWN_TOPIC_OR_PARTITION')
  assert.notEqual((await create(topic, 2)).id, id, 'the id of a topic that came again')
})

test('admin: metadata with topic ids, partitions, leaders', async () => {
  const topic = name('metadata')
  const { id } = await create(topic, 12)
  const found = await admin.metadata({ topics: [topic], forceUpdate: true })
  const [host, port] = process.env.BOOTSTRAP.split(':')
  const [[node, broker]] = found.brokers
  assert.deepEqual([broker.host, broker.port], [host, Number(port)])
  const mine = found.topics.get(topic)
  assert.deepEqual([mine.id, mine.partitionsCount], [id, 12])
  for (const p of mine.partitions) assert.deepEqual([p.leader, p.replicas], [node, [node]])
})

test('admin: createPartitions', async () => {
  const topic = name('grow')
  await create(topic, 1)
  await admin.createPartitions({ topics: [{ name: topic, count: 4 }] })
  assert.equal((await admin.metadata({ topics: [topic], forceUpdate: true })).topics.get(topic).partitionsCount, 4)
})

test('admin: describeConfigs', async () => {
  const topic = name('configs')
  await create(topic, 1, [{ name: 'retention.ms', value: '98765' }])
  const [found] = await admin.describeConfigs({
    resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configurationKeys: ['retention.ms', 'cleanup.policy'] }]
  })
  const value = key => found.configs.find(c => c.name === key).value
  assert.deepEqual([value('retention.ms'), value('cleanup.policy')], ['98765', 'delete'])
})

for (const [title, options] of [
  ['acks=all', { acks: ProduceAcks.ALL }],
  ['acks=1', { acks: ProduceAcks.LEADER }],
  ['acks=0', { acks: ProduceAcks.NO_RESPONSE }],
  ['gzip', { compression: 'gzip' }],
  ['idempotent', { idempotent: true }]
]) {
  test(`producer: ${title}; kcat reads`, async () => {
    const topic = name(title.replace('=', '-'))
    await create(topic)
    const messages = numbers(300, i => ({
      topic, key: `k${i}`, value: `v${i}`, partition: 0, timestamp: 1700000000000n + BigInt(i), headers: { n: `${i}` }
    }))
    await withProducer(options, async producer => {
      for (let i = 0; i < 3; i++) {
        const { offsets } = await producer.send({ messages: messages.slice(i * 100, i * 100 + 100), ...options })
        if (title !== 'acks=0') assert.deepEqual(offsets, [{ topic, partition: 0, offset: BigInt(i * 100) }])
      }
    })
    // -c, not -e: after acks=0 the messages may still be on their way.
    const out = kcat('-C', '-q', '-J', '-t', topic, '-o', '0', '-c', '300')
    const got = out.split('\n').filter(Boolean).map(line => JSON.parse(line))
    assert.deepEqual(got.map(m => [m.offset, m.key, m.payload, m.ts, m.headers]),
      messages.map((m, i) => [i, m.key, m.value, Number(m.timestamp), ['n', `${i}`]]))
  })
}

test('producer: an unknown topic is created', async () => {
  const topic = name('auto')
  await withProducer({ autocreateTopics: true, retries: 5 }, producer => producer.send({ messages: [{ topic, value: 'first' }] }))
  assert.deepEqual(kcatConsume(topic).map(m => m.payload), ['first'])
})

test('offsets: earliest, latest, by timestamp', async () => {
  const topic = name('offsets')
  await create(topic, 2)
  // Its own default is acks=1, whose records consumers see only when they are on disk: some milliseconds later.
  await withProducer({}, producer => producer.send({
    acks: ProduceAcks.ALL,
    messages: numbers(20, i => ({ topic, partition: 1, value: `${i}`, timestamp: BigInt(1000000 + i * 10) }))
  }))
  await withConsumer(async consumer => {
    const at = async timestamp => (await consumer.listOffsets({ topics: [topic], timestamp })).get(topic)
    assert.deepEqual(await at(-2n), [0n, 0n])
    assert.deepEqual(await at(-1n), [0n, 20n])
    assert.deepEqual((await at(1000101n))[1], 11n)
  })
})

test('a single fetch by topic id reads what kcat wrote, and waits for more', async () => {
  const topic = name('fetch')
  const { id } = await create(topic)
  kcat('-P', '-t', topic, '-K:', { input: numbers(50, i => `k${i}:v${i}`).join('\n') })
  await withConsumer(async consumer => {
    const { brokers } = await consumer.metadata({ topics: [topic] })
    const [node] = brokers.keys()
    const fetch = (fetchOffset, maxWaitTime) => consumer.fetch({
      node,
      minBytes: 1,
      maxBytes: 1 << 20,
      maxWaitTime,
      topics: [{ topicId: id, partitions: [{ partition: 0, currentLeaderEpoch: -1, fetchOffset, lastFetchedEpoch: -1, partitionMaxBytes: 1 << 20 }] }]
    })
    const values = answer => answer.responses[0].partitions[0].records.flatMap(batch => batch.records).map(r => r.value.toString())
    assert.deepEqual(values(await fetch(0n, 1000)), numbers(50, i => `v${i}`))
    const waiting = fetch(50n, 10000)
    const begin = Date.now()
    await withProducer({}, producer => producer.send({ messages: [{ topic, value: 'woken' }] }))
    assert.deepEqual(values(await waiting), ['woken'])
    note(`woken ${Date.now() - begin} ms after another connection began to produce`)
  })
})

run(() => admin.close())
