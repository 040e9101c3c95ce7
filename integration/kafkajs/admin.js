// KafkaJS's admin client: the cluster, topics, settings, offsets, groups.
'use strict'

const assert = require('node:assert/strict')
const { isIP } = require('node:net')
const { AssignerProtocol } = require('kafkajs')
const { test, until } = require('../lib/cases')
const { brokers, admin, name, numbers, create, withProducer, send, refused, byPartition, committed } = require('./client')
const { withMembers } = require('./member')

test('admin: connects, describes the cluster', async () => {
  const { brokers: found, controller, clusterId } = await admin.describeCluster()
  assert.ok(found.some(b => b.nodeId === controller))
  assert.ok(clusterId)
  const [host, port] = brokers[0].split(':')
  assert.ok(found.some(b => b.port === Number(port)))
  if (isIP(host)) assert.ok(found.some(b => b.host === host), 'the address that the client connected to')
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

// --- groups: what an administrator does to them (their members are in groups.js) --------------------------------

// KafkaJS sets offsets as a consumer that joins, seeks, and stops when its fetch is answered: five seconds later.

test('admin: setOffsets, fetchOffsets of some topics and of all', withMembers('admin-offsets', 4, async ({ topic, groupId }) => {
  const other = `${topic}-other`
  await create(other)
  await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '1' }, { partition: 3, offset: '2' }] })
  assert.deepEqual(await committed(groupId, topic), ['1', '-1', '-1', '2'])
  await admin.setOffsets({ groupId, topic: other, partitions: [{ partition: 0, offset: '77' }] })
  const all = await admin.fetchOffsets({ groupId })
  const flat = all.flatMap(t => t.partitions.map(p => `${t.topic}/${p.partition}=${p.offset}`)).sort()
  assert.deepEqual(flat, [`${other}/0=77`, `${topic}/0=1`, `${topic}/3=2`].sort())
}))

test('admin: resetOffsets to the beginning and to the end', withMembers('admin-reset', 4, async ({ topic, groupId }) => {
  await send(topic, numbers(8), 4)
  const reset = async earliest => {
    const mine = `${groupId}-${earliest}`
    await admin.resetOffsets({ groupId: mine, topic, earliest })
    const [found] = await admin.fetchOffsets({ groupId: mine, topics: [topic], resolveOffsets: true })
    return found.partitions.map(p => p.offset)
  }
  assert.deepEqual(await Promise.all([reset(true), reset(false)]), [['0', '0', '0', '0'], ['2', '2', '2', '2']])
}))

test('admin: listGroups, describeGroups, deleteGroups: live, empty, gone', withMembers('admin-groups', 3, async ({ topic, groupId, member }) => {
  const one = await member()
  await until(() => one.assignedCount === 3, 'all is assigned')
  assert.deepEqual((await admin.listGroups()).groups.filter(g => g.groupId === groupId), [{ groupId, protocolType: 'consumer' }])
  const describe = async () => (await admin.describeGroups([groupId])).groups[0]
  const live = await describe()
  assert.deepEqual([live.errorCode, live.state, live.protocolType, live.protocol], [0, 'Stable', 'consumer', 'RoundRobinAssigner'])
  const [found] = live.members
  assert.deepEqual([found.memberId, found.clientId], [one.joins[0].memberId, 'integration'])
  assert.match(found.clientHost, /^\/?[0-9a-f.:]+$/)
  assert.deepEqual(AssignerProtocol.MemberMetadata.decode(found.memberMetadata).topics, [topic])
  assert.deepEqual(AssignerProtocol.MemberAssignment.decode(found.memberAssignment).assignment, { [topic]: [0, 1, 2] })

  await refused(admin.deleteGroups([groupId]), 'NON_EMPTY_GROUP')
  await assert.rejects(admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '0' }] }), /must have no running instances/)
  await one.stop()
  const empty = await describe()
  assert.deepEqual([empty.state, empty.protocolType, empty.members], ['Empty', 'consumer', []])
  await admin.deleteGroups([groupId])
  assert.ok(!(await admin.listGroups()).groups.some(g => g.groupId === groupId))
  assert.equal((await describe()).state, 'Dead')
  await refused(admin.deleteGroups([groupId]), 'GROUP_ID_NOT_FOUND')
}))

test('admin: many groups at once', async () => {
  const topic = name('admin-many')
  await create(topic)
  const groups = numbers(50, i => `${topic}-${i}`)
  await Promise.all(groups.map((groupId, i) => admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: `${i}` }] })))
  const offsets = await Promise.all(groups.map(groupId => committed(groupId, topic)))
  assert.deepEqual(offsets, groups.map((_, i) => [`${i}`]))
  const listed = new Set((await admin.listGroups()).groups.map(g => g.groupId))
  assert.ok(groups.every(g => listed.has(g)))
  const { groups: described } = await admin.describeGroups(groups)
  assert.deepEqual(described.map(g => [g.groupId, g.state]).sort(), groups.map(g => [g, 'Empty']).sort())
  await admin.deleteGroups(groups)
  assert.ok(!(await admin.listGroups()).groups.some(g => groups.includes(g.groupId)))
})

test('admin: a deleted topic takes its commits along', withMembers('admin-gone', 2, async ({ topic, groupId }) => {
  await admin.setOffsets({ groupId, topic, partitions: [{ partition: 1, offset: '5' }] })
  await admin.deleteTopics({ topics: [topic] })
  await create(topic, 2)
  assert.deepEqual(await committed(groupId, topic), ['-1', '-1'])
}))
