// KafkaJS's consumer, alone in its group: reading, committing, pausing, seeking.
'use strict'

const assert = require('node:assert/strict')
const { CompressionTypes } = require('kafkajs')
const { test, note, sleep, until, kcat } = require('../lib/cases')
const { client, admin, name, numbers, byNumber, create, withProducer, send, refused, committed } = require('./client')
const { Member, withMembers, everything } = require('./member')

const sorted = values => values.map(Number).sort(byNumber)

test('a first try: admin creates, producer sends, consumer reads it all back', withMembers('first', 0, async ({ topic, groupId }) => {
  await create(topic, 3)
  const messages = numbers(9, i => ({
    key: `key-${i}`, value: JSON.stringify({ i }), headers: { n: `${i}`, who: 'me' }, timestamp: String(1700000000000 + i)
  }))
  const producer = client.producer()
  await producer.connect()
  await producer.send({ topic, messages, compression: CompressionTypes.GZIP })
  await producer.disconnect()

  const got = []
  const consumer = client.consumer({ groupId })
  const begin = Date.now()
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => { got.push(message) } })
  await until(() => got.length === messages.length, 'all is read')
  note(`connect, join and read: ${Date.now() - begin} ms`)
  await consumer.disconnect()
  const text = m => ({
    key: m.key.toString(), value: m.value.toString(), timestamp: m.timestamp, headers: { n: m.headers.n.toString(), who: m.headers.who.toString() }
  })
  assert.deepEqual(got.map(text).sort((a, b) => a.timestamp - b.timestamp), messages)
}))

test('consumer: 3,000 messages of 6 partitions, each once, in order', withMembers('order', 6, async ({ topic, member }) => {
  for (let i = 0; i < 10; i++) await send(topic, numbers(300, n => i * 300 + n), 6)
  const one = await member()
  await everything([one], numbers(3000))
  assert.equal(one.got.length, 3000)
  for (let p = 0; p < 6; p++) {
    const mine = one.got.filter(m => m.partition === p)
    assert.deepEqual(mine.map(m => m.offset), numbers(500))
    assert.deepEqual(mine.map(m => Number(m.value)), numbers(500, i => i * 6 + p))
  }
}))

test('consumer: fromBeginning false begins at the end', withMembers('latest', 2, async ({ topic, member }) => {
  await send(topic, numbers(10), 2)
  const one = await member({ fromBeginning: false })
  await until(() => one.events.FETCH.length > 2, 'it fetches')
  await send(topic, numbers(4, i => 100 + i), 2)
  await everything([one], numbers(4, i => 100 + i))
  assert.deepEqual(sorted(one.values), numbers(4, i => 100 + i))
}))

test('consumer: every codec, of KafkaJS and of kcat', withMembers('codecs', 1, async ({ topic, member }) => {
  const codecs = ['None', 'GZIP', 'Snappy', 'LZ4']
  await withProducer({}, async producer => {
    for (const codec of codecs) {
      await producer.send({ topic, compression: CompressionTypes[codec], messages: numbers(100, i => ({ value: `${codec} ${i}` })) })
    }
  })
  for (const codec of codecs) kcat('-P', '-t', topic, '-z', codec.toLowerCase(), { input: `kcat ${codec}\n`.repeat(100) })
  const one = await member()
  await until(() => one.got.length === 800, 'all is read')
  assert.deepEqual(one.values, codecs.flatMap(c => numbers(100, i => `${c} ${i}`)).concat(codecs.flatMap(c => Array(100).fill(`kcat ${c}`))))
}))

test('consumer: null keys and values, empty ones, a large one', withMembers('odd', 1, async ({ topic, member }) => {
  const large = 'x'.repeat(900000)
  await withProducer({}, producer => producer.send({
    topic, messages: [{ key: 'a', value: null }, { key: '', value: '' }, { value: 'v' }, { key: 'large', value: large }]
  }))
  const one = await member()
  await until(() => one.got.length === 4, 'all is read')
  assert.deepEqual(one.got.map(m => [m.key, m.value]), [['a', null], ['', ''], [null, 'v'], ['large', large]])
}))

test('consumer: partitionsConsumedConcurrently', withMembers('concurrent', 4, async ({ topic, member }) => {
  await send(topic, numbers(80), 4)
  let atOnce = 0
  let most = 0
  const one = await member({
    run: {
      partitionsConsumedConcurrently: 4,
      eachMessage: async ({ topic, partition, message }) => {
        most = Math.max(most, ++atOnce)
        await sleep(5)
        atOnce--
        one.take(topic, partition, message)
      }
    }
  })
  await until(() => one.got.length === 80, 'all is read')
  assert.ok(most > 1, `${most} at once`)
}))

// --- which topics ----------------------------------------------------------------------------------------------

test('subscribe: a regular expression', withMembers('regex', 0, async ({ topic, member }) => {
  for (const end of ['orders', 'order-items', 'invoices']) await create(`${topic}.${end}`, 2)
  for (const end of ['orders', 'order-items', 'invoices']) await send(`${topic}.${end}`, [end, `${end} too`], 2)
  const one = await member({}, new RegExp(`${topic.replaceAll('.', '\\.')}\\.order.*`))
  await everything([one], ['orders', 'orders too', 'order-items', 'order-items too'])
  assert.deepEqual(one.assigned, { [`${topic}.orders`]: [0, 1], [`${topic}.order-items`]: [0, 1] })
  assert.equal(one.got.length, 4)
}))

test('subscribe: twenty topics', withMembers('twenty', 0, async ({ topic, groupId, member }) => {
  const topics = numbers(20, i => `${topic}-${i}`)
  await admin.createTopics({ topics: topics.map(topic => ({ topic, numPartitions: 3 })) })
  const one = await member({}, topics)
  await until(() => one.assignedCount === 60, 'all is assigned')
  await withProducer({}, producer => producer.sendBatch({
    topicMessages: topics.map(topic => ({ topic, messages: numbers(6, i => ({ value: `${topic} ${i}`, partition: i % 3 })) }))
  }))
  await everything([one], topics.flatMap(topic => numbers(6, i => `${topic} ${i}`)))
  await one.stop()
  for (const topic of topics) assert.deepEqual(await committed(groupId, topic), ['2', '2', '2'])
}))

test('subscribe: a topic that is not there yet is made', withMembers('missing', 0, async ({ topic, member }) => {
  const one = await member()
  await until(() => one.assignedCount === 1, 'its partition is assigned')
  await send(topic, ['hello'])
  await everything([one], ['hello'])
}))

// --- commits ---------------------------------------------------------------------------------------------------

test('commit: when it leaves, by itself; the next one goes on from there', withMembers('leave', 4, async ({ topic, groupId, member }) => {
  await send(topic, numbers(40), 4)
  const first = await member()
  await everything([first], numbers(40))
  await first.stop()
  assert.deepEqual(await committed(groupId, topic), ['10', '10', '10', '10'])
  await send(topic, numbers(8, i => 100 + i), 4)
  const second = await member()
  await everything([second], numbers(8, i => 100 + i))
  await second.stop()
  assert.deepEqual(sorted(second.values), numbers(8, i => 100 + i), 'nothing twice')
  assert.deepEqual(await committed(groupId, topic), ['12', '12', '12', '12'])
}))

test('commit: autoCommitThreshold and autoCommitInterval, while it runs', withMembers('auto-commit', 1, async ({ topic, groupId, member }) => {
  const one = await member({ run: { autoCommitThreshold: 10, eachMessage: async ({ topic, partition, message }) => one.take(topic, partition, message) } })
  await send(topic, numbers(25))
  await until(async () => Number(await committed(groupId, topic)) >= 20, 'twenty are committed')
  await until(() => one.events.COMMIT_OFFSETS.length >= 2, 'and it has the answers')
  await one.stop()
  const two = await member({ run: { autoCommitInterval: 100 } })
  await send(topic, numbers(5, i => 25 + i))
  await until(async () => Number(await committed(groupId, topic)) === 30, 'all is committed')
  assert.deepEqual(sorted(two.values), numbers(5, i => 25 + i))
}))

test('commit: by hand, with metadata; what is not committed comes again', withMembers('manual', 2, async ({ topic, groupId, member }) => {
  await send(topic, numbers(20), 2)
  const first = await member({ run: { autoCommit: false } })
  await everything([first], numbers(20))
  await first.consumer.commitOffsets([{ topic, partition: 0, offset: '7', metadata: 'läuft ✓' }])
  await first.stop()
  const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
  const [p0, p1] = found.partitions.sort((a, b) => a.partition - b.partition)
  assert.deepEqual([p0.offset, p0.metadata, p1.offset], ['7', 'läuft ✓', '-1'])
  const second = await member({ run: { autoCommit: false } })
  await until(() => second.got.length === 13, 'what was not committed is read')
  assert.deepEqual(second.got.filter(m => m.partition === 0).map(m => m.offset), [7, 8, 9])
  assert.deepEqual(second.got.filter(m => m.partition === 1).map(m => m.offset), numbers(10))
}))

test('commit: metadata of 4,096 bytes is kept, of 4,097 refused', withMembers('metadata', 1, async ({ topic, groupId, member }) => {
  await send(topic, numbers(2))
  const one = await member({ run: { autoCommit: false } })
  await everything([one], numbers(2))
  const commit = (offset, length) => one.consumer.commitOffsets([{ topic, partition: 0, offset, metadata: 'm'.repeat(length) }])
  await commit('1', 4096)
  await refused(commit('2', 4097), 'OFFSET_METADATA_TOO_LARGE')
  const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
  assert.deepEqual([found.partitions[0].offset, found.partitions[0].metadata.length], ['1', 4096])
}))

test('commit: stop() and run() again', withMembers('again', 2, async ({ topic, member }) => {
  await send(topic, numbers(10), 2)
  const one = await member()
  await everything([one], numbers(10))
  await one.consumer.stop()
  await send(topic, numbers(10, i => 10 + i), 2)
  await one.consumer.run(one.runSettings)
  await everything([one], numbers(20))
  assert.deepEqual(sorted(one.values), numbers(20), 'nothing twice')
}))

test('commit: beyond the end: the consumer is told so, and begins anew', withMembers('beyond', 1, async ({ topic, groupId, member }) => {
  await send(topic, numbers(5))
  await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '1000' }] })
  const one = await member()
  await everything([one], numbers(5))
}))

// --- batches, errors -------------------------------------------------------------------------------------------

test('eachBatch: resolveOffset, heartbeat, commits; what was not resolved comes again', withMembers('batch', 1, async ({ topic, groupId, member }) => {
  await send(topic, numbers(100))
  const seen = []
  const first = await member({
    run: {
      eachMessage: null,
      eachBatchAutoResolve: false,
      eachBatch: async ({ batch, resolveOffset, heartbeat, commitOffsetsIfNecessary, uncommittedOffsets, isRunning, isStale }) => {
        assert.ok(isRunning() && !isStale())
        if (seen.length >= 60) return
        for (const message of batch.messages.slice(0, 60)) {
          seen.push(Number(message.value))
          resolveOffset(message.offset)
          await heartbeat()
        }
        assert.deepEqual(uncommittedOffsets().topics, [{ topic, partitions: [{ partition: '0', offset: '60' }] }])
        await commitOffsetsIfNecessary(uncommittedOffsets())
      }
    }
  })
  await until(async () => Number(await committed(groupId, topic)) === 60, 'sixty are committed')
  assert.deepEqual(seen, numbers(60))
  await first.stop()
  const second = await member()
  await until(() => second.got.length === 40, 'the rest is read')
  assert.deepEqual(second.values.map(Number), numbers(40, i => 60 + i))
}))

test('eachMessage fails once: the message comes again, and no other', withMembers('throws', 1, async ({ topic, member }) => {
  await send(topic, numbers(10))
  let failed = false
  const one = await member({
    run: {
      eachMessage: async ({ topic, partition, message }) => {
        one.take(topic, partition, message)
        if (message.offset === '5' && !failed) {
          failed = true
          throw new Error('on purpose')
        }
      }
    }
  })
  await until(() => one.got.length === 11, 'all is read')
  assert.deepEqual(one.got.map(m => m.offset), [0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9])
  assert.equal(one.joins.length, 1, 'without joining again')
}))

// --- pause, seek -----------------------------------------------------------------------------------------------

test('pause and resume: a partition, then the topic', withMembers('pause', 2, async ({ topic, member }) => {
  const one = await member()
  await until(() => one.assignedCount === 2, 'all is assigned')
  one.consumer.pause([{ topic, partitions: [1] }])
  assert.deepEqual(one.consumer.paused(), [{ topic, partitions: [1] }])
  await send(topic, numbers(20), 2)
  await until(() => one.got.length === 10, 'partition 0 is read')
  const fetches = one.events.FETCH.length
  await until(() => one.events.FETCH.length > fetches + 2, 'it goes on fetching')
  assert.deepEqual(sorted(one.values), numbers(10, i => i * 2))
  one.consumer.resume([{ topic, partitions: [1] }])
  await everything([one], numbers(20))

  one.consumer.pause([{ topic }])
  const beats = one.events.HEARTBEAT.length
  await send(topic, numbers(4, i => 20 + i), 2)
  await until(() => one.events.HEARTBEAT.length > beats + 2, 'it stays in the group')
  assert.equal(one.got.length, 20)
  one.consumer.resume([{ topic }])
  await everything([one], numbers(24))
  assert.deepEqual([one.got.length, one.joins.length], [24, 1])
}))

test('seek: back, forward, to where it began, to the end', withMembers('seek', 1, async ({ topic, groupId, member }) => {
  await send(topic, numbers(10))
  const one = await member()
  await everything([one], numbers(10))
  const after = async (offset, count) => {
    one.got.length = 0
    one.consumer.seek({ topic, partition: 0, offset })
    await until(() => one.got.length === count, `${count} messages after seeking ${offset}`)
    return one.got.map(m => m.offset)
  }
  assert.deepEqual(await after('3', 7), numbers(7, i => 3 + i))
  assert.deepEqual(await after('9', 1), [9])
  assert.deepEqual(await after('-2', 10), numbers(10))
  one.got.length = 0
  one.consumer.seek({ topic, partition: 0, offset: '10' })
  const fetches = one.events.FETCH.length
  await until(() => one.events.FETCH.length > fetches + 2, 'it fetches at the end')
  await send(topic, ['new'])
  await everything([one], ['new'])
  assert.equal(one.got.length, 1)
  await one.stop()
  assert.deepEqual(await committed(groupId, topic), ['11'])
}))

// --- what it tells of itself -----------------------------------------------------------------------------------

test('events: from CONNECT to DISCONNECT, one join, no rebalance, no crash', withMembers('events', 2, async ({ topic, groupId, member }) => {
  await send(topic, numbers(10), 2)
  const one = await member()
  await everything([one], numbers(10))
  await until(() => one.events.HEARTBEAT.length > 0 && one.events.COMMIT_OFFSETS.length > 0, 'it commits, its heart beats')
  await one.stop()
  const { events } = one
  const [{ memberId, duration, ...join }] = events.GROUP_JOIN
  assert.deepEqual(join, { groupId, leaderId: memberId, isLeader: true, memberAssignment: { [topic]: [0, 1] }, groupProtocol: 'RoundRobinAssigner' })
  note(`GROUP_JOIN took ${duration} ms`)
  const count = event => events[event].length
  assert.deepEqual([count('GROUP_JOIN'), count('REBALANCING'), count('CRASH'), count('STOP'), count('DISCONNECT')], [1, 0, 0, 1, 1])
  assert.ok(count('CONNECT') >= 1 && count('FETCH') >= 1 && count('START_BATCH_PROCESS') === count('END_BATCH_PROCESS'))
  const asked = new Set(events.REQUEST.map(r => r.apiName))
  for (const api of ['GroupCoordinator', 'JoinGroup', 'SyncGroup', 'OffsetFetch', 'ListOffsets', 'Fetch', 'Heartbeat', 'OffsetCommit', 'LeaveGroup']) {
    assert.ok(asked.has(api), `${api} was asked; seen: ${[...asked]}`)
  }
}))

test('a session time-out that the broker does not allow ends in CRASH, and in no new try', withMembers('session', 1, async ({ member, expectCrash }) => {
  const one = await member({ consumer: { sessionTimeout: 1000, heartbeatInterval: 200 } })
  expectCrash(one)
  const crash = await until(() => one.events.CRASH[0], 'a crash')
  assert.deepEqual([crash.error.type, crash.restart], ['INVALID_SESSION_TIMEOUT', false])
}))

test('group ids: strange and long ones are taken', async () => {
  const topic = name('ids')
  await create(topic)
  for (const groupId of ['a group / with: signs', 'grüße-✓', 'g'.repeat(1000)].map(id => `${id}${process.pid}`)) {
    const one = await new Member(groupId, topic).start()
    await until(() => one.assignedCount === 1, `${groupId.slice(0, 20)} is assigned`)
    await one.stop()
    assert.equal((await admin.describeGroups([groupId])).groups[0].state, 'Empty')
  }
})
