// @platformatic/kafka's consumer groups: JoinGroup 9, SyncGroup 5, OffsetCommit 8 or newer, with a heartbeat of its own clock.
import assert from 'node:assert/strict'
import { Consumer, MessagesStreamFallbackModes, MessagesStreamModes, stringDeserializers } from '@platformatic/kafka'
import cases from '../lib/cases.js'
import { admin, apiIds, base, create, name, numbers, refused, withProducer } from './client.js'

const { test, note, until } = cases

// A member of a group, and what happened to it.
class Member {
  constructor (groupId, topic, { autocommit = 100, commitEach = false, ...options } = {}) {
    this.topic = topic
    this.commitEach = commitEach
    this.got = []
    this.events = []
    this.consumer = new Consumer({
      ...base,
      groupId,
      retries: 20,
      retryDelay: 100,
      deserializers: stringDeserializers,
      sessionTimeout: 6000,
      rebalanceTimeout: 6000,
      heartbeatInterval: 200,
      maxWaitTime: 100,
      autocommit: commitEach ? false : autocommit,
      ...options
    })
    this.heartbeatErrors = []
    this.consumer.on('consumer:heartbeat:error', ({ error }) => this.heartbeatErrors.push(error))
    for (const event of ['join', 'leave', 'rejoin', 'rebalance']) this.consumer.on(`consumer:group:${event}`, () => this.events.push(event))
  }

  async start () {
    this.stream = await this.consumer.consume({
      topics: [this.topic], mode: MessagesStreamModes.COMMITTED, fallbackMode: MessagesStreamFallbackModes.EARLIEST
    })
    this.stream.on('error', error => this.events.push(error))
    this.reading = this.read()
    return this
  }

  async read () {
    try {
      for await (const message of this.stream) {
        this.got.push(message)
        if (this.commitEach) await message.commit()
      }
    } catch (error) {
      this.events.push(error)
    }
  }

  get values () { return this.got.map(m => m.value) }
  get errors () { return this.events.filter(e => e instanceof Error) }
  get assigned () { return (this.consumer.assignments || []).flatMap(a => a.partitions).sort((a, b) => a - b) }
  count (event) { return this.events.filter(e => e === event).length }

  async stop () {
    if (this.stopped) return
    this.stopped = true
    await this.consumer.close(true)
    await this.reading
  }
}

// The body of a case about groups: given a topic, a group and a way to start members, all of which are stopped in the end.
function withMembers (what, partitions, body) {
  return async () => {
    const topic = name(what)
    const groupId = `${topic}-group`
    const members = []
    const member = options => {
      members.push(new Member(groupId, topic, options))
      return members.at(-1).start()
    }
    await create(topic, partitions)
    try {
      await body({ topic, groupId, member })
    } finally {
      const errors = members.flatMap(m => m.errors)
      if (errors.length > 0) note(errors.map(e => e.stack).join('\n'))
      await Promise.all(members.map(m => m.stop()))
    }
  }
}

const send = (topic, values, partitions) => withProducer({}, producer => producer.send({
  acks: -1, messages: values.map((value, i) => ({ topic, value: `${value}`, partition: i % partitions }))
}))

const everything = (members, values) => until(() => {
  const found = new Set(members.flatMap(m => m.values))
  return values.every(v => found.has(`${v}`))
}, 'all is read')

const shared = (members, partitions) => until(() => {
  const flat = members.flatMap(m => m.assigned)
  return flat.length === partitions && new Set(flat).size === partitions && members.every(m => m.assigned.length > 0)
}, `${members.length} members share ${partitions} partitions`)

// Committed offsets by partition, -1n where nothing.
async function committed (groupId, topic, partitions) {
  const [group] = await admin.listConsumerGroupOffsets({ groups: [{ groupId, topics: [{ name: topic, partitionIndexes: numbers(partitions) }] }] })
  return group.topics[0].partitions.sort((a, b) => a.partitionIndex - b.partitionIndex).map(p => Number(p.committedOffset))
}

test('group: one member reads all, commits, and its successor goes on', withMembers('group-one', 4, async ({ topic, groupId, member }) => {
  await send(topic, numbers(40), 4)
  const begin = Date.now()
  const first = await member({ commitEach: true })
  await everything([first], numbers(40))
  note(`join and read: ${Date.now() - begin} ms`)
  await until(async () => (await committed(groupId, topic, 4)).join() === '10,10,10,10', 'all is committed')
  await first.stop()
  await send(topic, numbers(8, i => 100 + i), 4)
  const second = await member({ commitEach: true })
  await everything([second], numbers(8, i => 100 + i))
  assert.deepEqual(second.values.map(Number).sort((a, b) => a - b), numbers(8, i => 100 + i), 'nothing twice')
  assert.deepEqual([...first.errors, ...second.errors], [])
}))

test('group: autocommit by a clock', withMembers('group-auto', 2, async ({ topic, groupId, member }) => {
  await send(topic, numbers(10), 2)
  const one = await member({ autocommit: 100 })
  await everything([one], numbers(10))
  await until(async () => (await committed(groupId, topic, 2)).join() === '5,5', 'all is committed')
}))

test('group: three share, one leaves, one comes', withMembers('group-three', 6, async ({ topic, groupId, member }) => {
  const list = await Promise.all(numbers(3, () => member()))
  await shared(list, 6)
  await send(topic, numbers(60), 6)
  await everything(list, numbers(60))
  const gone = list.shift()
  await gone.stop()
  await shared(list, 6)
  assert.ok(list.every(m => m.count('rebalance') > 0), 'those who stay are told')
  list.push(await member())
  await shared(list, 6)
  const found = (await admin.describeGroups({ groups: [groupId] })).get(groupId)
  assert.deepEqual([found.state, found.protocolType, found.members.size], ['STABLE', 'consumer', 3])
  await send(topic, numbers(60, i => 60 + i), 6)
  await everything([gone, ...list], numbers(120))
}), 60000)

// It leaves the group also as a static member when it is closed. So it is not closed here, but replaced while it lives.
test('group: who comes with the instance id of another takes its place, without a rebalance', withMembers('group-static', 2, async ({ topic, groupId, member }) => {
  const stays = await member({ groupInstanceId: 'stays' })
  const old = await member({ groupInstanceId: 'moves' })
  await shared([stays, old], 2)
  const had = old.assigned
  const { generationId } = stays.consumer
  const rebalances = stays.count('rebalance')
  const fresh = await member({ groupInstanceId: 'moves' })
  await until(() => fresh.assigned.length === 1, 'it is assigned')
  assert.deepEqual([fresh.assigned, stays.consumer.generationId, stays.count('rebalance')], [had, generationId, rebalances])
  const error = await until(() => old.heartbeatErrors[0], 'the old one is told')
  assert.equal(apiIds(error).includes('FENCED_INSTANCE_ID'), true, error.stack)
  const ids = [...(await admin.describeGroups({ groups: [groupId] })).get(groupId).members.values()].map(m => m.groupInstanceId)
  assert.deepEqual(ids.sort(), ['moves', 'stays'])
}), 40000)

test('group: admin lists, describes, alters and deletes offsets, deletes the group', withMembers('group-admin', 3, async ({ topic, groupId, member }) => {
  await send(topic, numbers(9), 3)
  const one = await member({ commitEach: true })
  await everything([one], numbers(9))
  await until(async () => (await committed(groupId, topic, 3)).join() === '3,3,3', 'all is committed')
  const listed = async filter => (await admin.listGroups(filter)).get(groupId)
  assert.equal((await listed({ states: ['STABLE'] })).state, 'STABLE')
  assert.equal(await listed({ states: ['EMPTY'] }), undefined)
  const found = (await admin.describeGroups({ groups: [groupId] })).get(groupId)
  const [only] = found.members.values()
  assert.deepEqual([only.id, only.clientId], [one.consumer.memberId, 'integration'])
  assert.deepEqual(only.assignments.get(topic).partitions, [0, 1, 2])
  await refused(admin.deleteGroups({ groups: [groupId] }), 'NON_EMPTY_GROUP')
  await one.stop()

  assert.equal((await listed({ states: ['EMPTY'] })).state, 'EMPTY')
  await admin.alterConsumerGroupOffsets({ groupId, topics: [{ name: topic, partitionOffsets: [{ partition: 1, offset: 1n }] }] })
  assert.deepEqual(await committed(groupId, topic, 3), [3, 1, 3])
  await admin.deleteConsumerGroupOffsets({ groupId, topics: [{ name: topic, partitionIndexes: [2] }] })
  assert.deepEqual(await committed(groupId, topic, 3), [3, 1, -1])
  await admin.deleteGroups({ groups: [groupId] })
  assert.equal(await listed(), undefined)
  await refused(admin.deleteGroups({ groups: [groupId] }), 'GROUP_ID_NOT_FOUND')
}))

// Without a stream: that of this client cannot bear it (TypeError, as its topics are gone with the membership).
test('group: an administrator removes a member', async () => {
  const groupId = name('group-remove')
  const { consumer } = new Member(groupId, 'none')
  const errors = []
  consumer.on('consumer:heartbeat:error', ({ error }) => errors.push(error))
  try {
    const memberId = await consumer.joinGroup()
    const members = async () => [...(await admin.describeGroups({ groups: [groupId] })).get(groupId).members.keys()]
    assert.deepEqual(await members(), [memberId])
    await admin.removeMembersFromConsumerGroup({ groupId, members: [{ memberId, reason: 'for a test' }] })
    assert.ok(!(await members()).includes(memberId))
    await until(() => errors.length > 0 || consumer.memberId !== memberId, 'it notices')
  } finally {
    await consumer.close(true)
  }
})

test('group: coordinators of fifty groups at once', async () => {
  const groups = numbers(50, i => name(`find-${i}`))
  const found = await admin.findCoordinator({ keyType: 0, keys: groups })
  assert.deepEqual(found.map(c => c.key).sort(), groups.sort())
  const [, port] = process.env.BOOTSTRAP.split(':')
  assert.deepEqual([...new Set(found.map(c => c.port))], [Number(port)])
})
