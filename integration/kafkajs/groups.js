// KafkaJS's consumers, several to a group: they share, come, leave, die.
'use strict'

const assert = require('node:assert/strict')
const { fork } = require('node:child_process')
const path = require('node:path')
const { AssignerProtocol, PartitionAssigners } = require('kafkajs')
const { test, note, sleep, until } = require('../lib/cases')
const { makeClient, admin, numbers, byNumber, withProducer, send, committed } = require('./client')
const { withMembers, shared, isShared, everything } = require('./member')

const sorted = values => values.map(Number).sort(byNumber)

test('group: three share, one leaves, one comes', withMembers('three', 4, async ({ topic, groupId, member }) => {
  const list = await Promise.all(numbers(3, () => member()))
  await shared(list, topic, 4)
  await send(topic, numbers(40), 4)
  await everything(list, numbers(40))
  await list.shift().stop()
  await shared(list, topic, 4)
  assert.ok(list.every(m => m.events.REBALANCING.length > 0), 'those who stay are told')
  list.push(await member())
  await shared(list, topic, 4)
  const { groups: [group] } = await admin.describeGroups([groupId])
  assert.deepEqual([group.state, group.members.length], ['Stable', 3])
  assert.equal(list.filter(m => m.joins.at(-1).isLeader).length, 1, 'one leads')
}))

test('group: more members than partitions: one waits, and takes over', withMembers('idle', 2, async ({ topic, member }) => {
  const list = await Promise.all(numbers(3, () => member()))
  await shared(list, topic, 2, { all: false })
  await until(() => list.filter(m => m.assignedCount === 1).length === 2, 'two have one each')
  const busy = list.find(m => m.assignedCount === 1)
  await busy.stop()
  const rest = list.filter(m => m !== busy)
  await shared(rest, topic, 2)
  await send(topic, numbers(10), 2)
  await everything(rest, numbers(10))
}))

test('group: ten members share 30 partitions; all leave at once', withMembers('ten', 30, async ({ topic, groupId, member }) => {
  const begin = Date.now()
  const list = await Promise.all(numbers(10, () => member()))
  await until(() => isShared(list, topic, 30) && list.every(m => m.assignedCount === 3), 'each has three')
  note(`ten members share after ${Date.now() - begin} ms`)
  await send(topic, numbers(300), 30)
  await everything(list, numbers(300))
  await Promise.all(list.map(m => m.stop()))
  assert.deepEqual(await committed(groupId, topic), numbers(30, () => '10'))
  assert.equal((await admin.describeGroups([groupId])).groups[0].state, 'Empty')
}))

test('group: two groups read the same topic, each all of it', withMembers('two-groups', 2, async ({ topic, groupId, member }) => {
  const [a, b] = await Promise.all([member(), member({}, topic, `${groupId}-b`)])
  await send(topic, numbers(20), 2)
  await everything([a], numbers(20))
  await everything([b], numbers(20))
  assert.deepEqual([sorted(a.values), sorted(b.values)], [numbers(20), numbers(20)])
}))

test('group: members replaced one after the other, while producing: nothing lost, all committed', withMembers('rolling', 6, async ({ topic, groupId, member }) => {
  let list = await Promise.all(numbers(3, () => member()))
  const everybody = [...list]
  let sent = 0
  let going = true
  const producing = withProducer({}, async producer => {
    while (going) {
      await producer.send({ topic, messages: numbers(6, i => ({ value: `${sent + i}`, partition: i })) })
      sent += 6
      await sleep(5)
    }
  })
  for (let i = 0; i < 6; i++) {
    const fresh = await member()
    everybody.push(fresh)
    await list.shift().stop()
    list = [...list, fresh]
    await shared(list, topic, 6)
  }
  going = false
  await producing
  await everything(everybody, numbers(sent))
  await Promise.all(list.map(m => m.stop()))
  assert.deepEqual(await committed(groupId, topic), numbers(6, () => `${sent / 6}`))
  const twice = everybody.reduce((n, m) => n + m.got.length, 0) - sent
  note(`${sent} messages over ${everybody.length} members, ${twice} read twice`)
}), 60000)

// A consumer in another process, as child.js runs it.
function child (groupId, topic) {
  const process_ = fork(path.join(__dirname, 'child.js'), [groupId, topic], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const found = { process: process_, assigned: {}, got: [], get values () { return this.got.map(m => m.value) } }
  process_.on('message', told => Object.assign(found, told))
  found.ended = new Promise(resolve => process_.on('exit', resolve))
  return found
}

test('group: a member is killed: its partitions go to the others, nothing is lost', withMembers('killed', 4, async ({ topic, groupId, member }) => {
  const one = await member()
  const victim = child(groupId, topic)
  try {
    await until(() => one.assignedCount === 2 && victim.assigned[topic]?.length === 2, 'two and two')
    await send(topic, numbers(20), 4)
    await until(() => one.got.length + victim.got.length === 20, 'all is read')
    victim.process.kill('SIGKILL')
    await victim.ended
    const begin = Date.now()
    await send(topic, numbers(20, i => 20 + i), 4)
    await until(() => one.assignedCount === 4, 'one has all')
    const took = Date.now() - begin
    note(`the killed member's partitions are with the other one after ${took} ms; its session is 6,000 ms`)
    assert.ok(took > 3000 && took < 9000, `${took} ms`)
    await everything([one, victim], numbers(40))
  } finally {
    victim.process.kill('SIGKILL')
  }
}), 40000)

test('group: a member in another process leaves in good order: the other has all at once', withMembers('bye', 4, async ({ topic, groupId, member }) => {
  const one = await member()
  const other = child(groupId, topic)
  try {
    await until(() => one.assignedCount === 2 && other.assigned[topic]?.length === 2, 'two and two')
    const begin = Date.now()
    other.process.send('stop')
    assert.equal(await other.ended, 0)
    await until(() => one.assignedCount === 4, 'one has all')
    assert.ok(Date.now() - begin < 3000, 'without waiting for its session to end')
  } finally {
    other.process.kill('SIGKILL')
  }
}))

test('group: who works longer than its session lasts is put out, and comes back', withMembers('slow', 2, async ({ topic, member }) => {
  let slept = false
  const slow = await member({
    run: {
      eachMessage: async ({ topic, partition, message }) => {
        slow.take(topic, partition, message)
        if (!slept) {
          slept = true
          await sleep(8000)
        }
      }
    }
  })
  await until(() => slow.assignedCount === 2, 'all is assigned')
  await send(topic, ['work'], 1)
  await until(() => slept, 'it works')
  const quick = await member()
  await until(() => quick.assignedCount === 2, 'the other one has all')
  await shared([slow, quick], topic, 2)
  await send(topic, numbers(10), 2)
  await everything([slow, quick], numbers(10))
}), 40000)

// --- assignors -------------------------------------------------------------------------------------------------

// Partitions in proportion to a weight, which each member gives as its user data. seen: what the leader was given.
const weighted = (weight, seen) => ({ cluster }) => ({
  name: 'Weighted',
  version: 1,
  protocol: ({ topics }) => ({
    name: 'Weighted',
    metadata: AssignerProtocol.MemberMetadata.encode({ version: 1, topics, userData: Buffer.from(JSON.stringify({ weight })) })
  }),
  async assign ({ members, topics }) {
    const list = members.map(({ memberId, memberMetadata }) => {
      const { userData } = AssignerProtocol.MemberMetadata.decode(memberMetadata)
      return { memberId, weight: JSON.parse(userData).weight }
    }).sort((a, b) => a.weight - b.weight)
    seen.push(list.map(m => m.weight))
    const turns = list.flatMap(m => Array(m.weight).fill(m.memberId))
    const assignment = new Map(list.map(m => [m.memberId, {}]))
    for (const topic of topics) {
      cluster.findTopicPartitionMetadata(topic).forEach(({ partitionId }, i) => {
        const mine = assignment.get(turns[i % turns.length])
        mine[topic] = [...(mine[topic] || []), partitionId]
      })
    }
    return [...assignment].map(([memberId, mine]) => ({
      memberId,
      memberAssignment: AssignerProtocol.MemberAssignment.encode({ version: 1, assignment: mine, userData: Buffer.from('from the leader') })
    }))
  }
})

test('assignor of one\'s own: user data of every member reaches the leader', withMembers('weighted', 12, async ({ topic, groupId, member }) => {
  const seen = []
  const list = await Promise.all([1, 2, 3].map(weight => member({ consumer: { partitionAssigners: [weighted(weight, seen)] } })))
  await until(() => list.map(m => m.assignedCount).join() === '2,4,6', 'shared by weight')
  await shared(list, topic, 12)
  assert.deepEqual(seen.at(-1), [1, 2, 3])
  const { groups: [group] } = await admin.describeGroups([groupId])
  assert.equal(group.protocol, 'Weighted')
  for (const m of group.members) {
    assert.equal(AssignerProtocol.MemberAssignment.decode(m.memberAssignment).userData.toString(), 'from the leader')
  }
  await send(topic, numbers(24), 12)
  await everything(list, numbers(24))
}))

test('assignors: the one that all know is taken; who knows none of it is refused', withMembers('vote', 4, async ({ topic, groupId, member, expectCrash }) => {
  const { roundRobin } = PartitionAssigners
  const a = await member({ consumer: { partitionAssigners: [weighted(1, []), roundRobin] } })
  await until(() => a.assignedCount === 4, 'all is assigned')
  assert.equal(a.joins[0].groupProtocol, 'Weighted', 'alone, its own first choice')
  const b = await member({ consumer: { partitionAssigners: [roundRobin] } })
  await shared([a, b], topic, 4)
  assert.deepEqual([a, b].map(m => m.joins.at(-1).groupProtocol), ['RoundRobinAssigner', 'RoundRobinAssigner'])
  const stranger = await member({ consumer: { partitionAssigners: [weighted(1, [])] } })
  expectCrash(stranger)
  const crash = await until(() => stranger.events.CRASH[0], 'a crash')
  assert.equal(crash.error.type, 'INCONSISTENT_GROUP_PROTOCOL')
  assert.equal((await admin.describeGroups([groupId])).groups[0].members.length, 2)
}))

test('group: clients tell who they are', withMembers('who', 2, async ({ topic, groupId, member }) => {
  const list = await Promise.all(['alpha', 'beta'].map(id => member({ from: makeClient(id) })))
  await shared(list, topic, 2)
  const { groups: [group] } = await admin.describeGroups([groupId])
  assert.deepEqual(group.members.map(m => m.clientId).sort(), ['alpha', 'beta'])
  for (const m of group.members) assert.ok(m.memberId.startsWith(`${m.clientId}-`), m.memberId)
}))
