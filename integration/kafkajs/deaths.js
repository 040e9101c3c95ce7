// The broker's processes are killed while KafkaJS's groups consume. These cases start brokers of their own.
'use strict'

const assert = require('node:assert/strict')
const { test, note, sleep, until } = require('../lib/cases')
const { makeClient, numbers, byNumber } = require('./client')
const { Member, isShared, shared, everything } = require('./member')
const { OwnBroker } = require('./own_broker')

const RETRY = { retries: 10, initialRetryTime: 50, maxRetryTime: 1000 }
const clientTo = (broker, id) => makeClient(id, { brokers: [broker.bootstrap], retry: RETRY })

// A broker, an admin client and a topic; all is stopped in the end.
async function withBroker ({ workers = 4, partitions = 4 }, body) {
  const broker = await OwnBroker.start(workers)
  const client = clientTo(broker, 'test')
  const admin = client.admin()
  const members = []
  const member = async (groupId, from) => {
    const one = new Member(groupId, 't', { from, run: { autoCommitThreshold: 10 } })
    members.push(one)
    return one.start()
  }
  const producer = client.producer({ idempotent: true })
  try {
    await admin.connect()
    await admin.createTopics({ topics: [{ topic: 't', numPartitions: partitions }] })
    await producer.connect()
    let sent = 0
    const produce = async count => {
      await producer.send({ topic: 't', messages: numbers(count, i => ({ value: `${sent + i}`, partition: i % partitions })) })
      sent += count
      return numbers(sent)
    }
    await body({ broker, client, admin, member, produce })
  } finally {
    await Promise.all(members.map(m => m.stop()))
    await producer.disconnect()
    await admin.disconnect()
    await broker.stop()
  }
}

// KafkaJS whose connection breaks knows of no broker for a moment, where there is but one; it then emits CRASH, and starts
// its consumer again by itself.
function noneGaveUp (list) {
  const crashes = list.flatMap(m => m.events.CRASH)
  assert.deepEqual(crashes.filter(c => !c.restart).map(c => c.error.stack), [], 'consumers that gave up')
  return crashes.length
}

const total = (list, event) => list.reduce((n, m) => n + m.events[event].length, 0)

// Members of a group whose owner serves none of their connections. With 8 workers and 5 connections there is one soon.
async function strangersToTheirOwner (broker, member) {
  for (let i = 0; i < 30; i++) {
    const groupId = `g-${i}`
    const ids = [`a-${i}`, `b-${i}`]
    const list = []
    for (const id of ids) list.push(await member(groupId, clientTo(broker, id)))
    await shared(list, 't', 4)
    await until(() => total(list, 'FETCH') > 4, 'they fetch')
    const serving = new Set(ids.flatMap(id => [...broker.servingClient(id)]))
    if (serving.size > 0 && !serving.has(broker.owner(groupId))) return { groupId, ids, list }
    await Promise.all(list.map(m => m.stop()))
  }
  throw new Error('every owner serves a member')
}

test('deaths: the owner of a stable group, five times: no rebalance, no crash, it goes on', async () => {
  await withBroker({ workers: 8 }, async ({ broker, member, produce, admin }) => {
    const { groupId, list } = await strangersToTheirOwner(broker, member)
    await everything(list, await produce(40))
    const count = () => [total(list, 'GROUP_JOIN'), total(list, 'REBALANCING'), total(list, 'CRASH')]
    const before = count()
    const rebalances = broker.count(`group rebalances group=${groupId} `)
    for (let round = 0; round < 5; round++) {
      await broker.killWorker(broker.owner(groupId))
      await everything(list, await produce(40))
      const beats = list.map(m => m.events.HEARTBEAT.length)
      await until(() => list.every((m, i) => m.events.HEARTBEAT.length > beats[i]), 'their hearts beat')
    }
    assert.deepEqual(count(), before, 'joins, rebalances, crashes')
    assert.equal(before[2], 0)
    assert.equal(broker.count(`group rebalances group=${groupId} `), rebalances)
    assert.equal(list.flatMap(m => m.got).length, 240, 'each message once')
    await Promise.all(list.map(m => m.stop()))
    const [found] = await admin.fetchOffsets({ groupId, topics: ['t'] })
    assert.deepEqual(found.partitions.map(p => p.offset), ['60', '60', '60', '60'])
  })
}, 60000)

test('deaths: every worker in turn, twice, with three members reading: nothing is lost, nobody gives up', async () => {
  await withBroker({ partitions: 6 }, async ({ broker, client, member, produce, admin }) => {
    const list = []
    const ids = ['a', 'b', 'c']
    const hits = [0, 0, 0] // deaths of a worker that served one of its connections
    for (const id of ids) list.push(await member('g', clientTo(broker, id)))
    await shared(list, 't', 6)
    const joins = total(list, 'GROUP_JOIN')
    let going = true
    let all = []
    const producing = (async () => {
      for (; going; await sleep(2)) all = await produce(12)
    })()
    for (const name of [0, 1, 2, 3, 0, 1, 2, 3].map(i => `worker-${i}`)) {
      const at = all.length
      ids.forEach((id, i) => { hits[i] += broker.servingClient(id).has(name) ? 1 : 0 })
      await broker.killWorker(name)
      await until(() => all.length > at + 60, 'the producer goes on')
      await everything(list, all)
    }
    going = false
    await producing
    await everything(list, all)
    const crashes = noneGaveUp(list)
    list.forEach((m, i) => assert.ok(m.events.CRASH.length <= hits[i], `${ids[i]} crashed, though it lost no connection`))
    const twice = list.flatMap(m => m.got).length - all.length
    note(`${all.length} messages, 8 deaths, ${hits} of them hit a, b, c: ${crashes} restarts of a consumer, ` +
      `${total(list, 'GROUP_JOIN') - joins} joins besides the first, ${twice} messages read twice`)
    await shared(list, 't', 6)
    await Promise.all(list.map(m => m.stop()))
    const [found] = await admin.fetchOffsets({ groupId: 'g', topics: ['t'] })
    assert.deepEqual(found.partitions.map(p => p.offset), numbers(6, () => `${all.length / 6}`))
  })
}, 90000)

// A consumer whose connection breaks while it asks for its coordinator gives up: KafkaJS asks every broker it knows, and
// here that is one. An application starts a new one then; so does this case.
test('deaths: the owner, while members join', async () => {
  await withBroker({}, async ({ broker, member, produce }) => {
    const list = []
    const gaveUp = m => m.events.CRASH.some(c => !c.restart)
    let started = 0
    const another = async () => { list.push(await member('g', clientTo(broker, `m-${started++}`))) }
    await another()
    for (let i = 0; i < 4; i++) {
      const joining = another()
      // once before it has asked to join, once while it waits for the others
      if (i % 2) await until(() => new RegExp(`request api=JoinGroup .* client_id=m-${started - 1} `).test(broker.log()), 'it joins')
      await broker.killWorker(broker.owner('g'))
      await joining
    }
    const living = () => list.filter(m => !gaveUp(m))
    while (living().length < 4) await another()
    await until(() => isShared(living(), 't', 4, false), `${living().length} members share`, 40000)
    await everything(list, await produce(40), 30000)
    for (const m of list.filter(gaveUp)) assert.match(m.events.CRASH.at(-1).error.message, /Failed to find group coordinator/)
    note(`4 deaths: ${total(list, 'CRASH')} crashes, ${list.filter(gaveUp).length} consumers gave up`)
  })
}, 90000)

test('deaths: the whole broker, and it starts again: members go on where they were', async () => {
  await withBroker({}, async ({ broker, member, produce }) => {
    const list = [await member('g', clientTo(broker, 'a')), await member('g', clientTo(broker, 'b'))]
    await shared(list, 't', 4)
    const joins = total(list, 'GROUP_JOIN')
    for (let round = 0; round < 3; round++) {
      await everything(list, await produce(40))
      await broker.killAll()
    }
    await everything(list, await produce(40), 30000)
    note(`3 deaths: ${noneGaveUp(list)} restarts of a consumer, ${total(list, 'GROUP_JOIN') - joins} joins besides the first`)
    await shared(list, 't', 4)
    const values = list.flatMap(m => m.values).map(Number)
    assert.deepEqual([...new Set(values)].sort(byNumber), numbers(160))
  })
}, 90000)
