// Group consumers that remember what happened to them, and cases that have some.
'use strict'

const assert = require('node:assert/strict')
const { note, until } = require('../lib/cases')
const { makeClient, name, create } = require('./client')

const QUICK = { sessionTimeout: 6000, heartbeatInterval: 200, maxWaitTimeInMs: 50 }

class Member {
  // topics: a name, several, or regular expressions. settings.consumer, settings.run: as KafkaJS has them, on top of QUICK.
  // A client of its own for each: members of one group that come from one `new Kafka()` share what they know of
  // committed offsets, and one that joins clears it for the others, which may then end in a TypeError.
  constructor (groupId, topics, { from = makeClient('integration'), fromBeginning = true, consumer = {}, run = {} } = {}) {
    this.consumer = from.consumer({ groupId, ...QUICK, ...consumer })
    this.topics = [topics].flat()
    this.fromBeginning = fromBeginning
    this.runSettings = { eachMessage: async ({ topic, partition, message }) => this.take(topic, partition, message), ...run }
    this.got = []
    this.events = {}
    for (const [event, type] of Object.entries(this.consumer.events)) {
      this.events[event] = []
      this.consumer.on(type, ({ payload }) => { this.events[event].push(payload) })
    }
  }

  take (topic, partition, { offset, key, value, headers, timestamp }) {
    const text = bytes => bytes === null || bytes === undefined ? null : bytes.toString()
    this.got.push({ topic, partition, offset: Number(offset), key: text(key), value: text(value), headers, timestamp })
  }

  async start () {
    await this.consumer.connect()
    await this.consumer.subscribe({ topics: this.topics, fromBeginning: this.fromBeginning })
    await this.consumer.run(this.runSettings)
    return this
  }

  stop () {
    return this.consumer.disconnect()
  }

  get values () { return this.got.map(m => m.value) }
  get joins () { return this.events.GROUP_JOIN }
  // Partitions by topic, as of the last time that it joined.
  get assigned () { return this.joins.at(-1)?.memberAssignment || {} }
  get assignedCount () { return Object.values(this.assigned).flat().length }
}

// Do members have all of a topic's partitions between them, each partition once? all: does each have one, too?
function isShared (members, topic, partitions, all = true) {
  const found = members.map(m => m.assigned[topic] || [])
  const flat = found.flat()
  return flat.length === partitions && new Set(flat).size === partitions && (!all || found.every(list => list.length > 0))
}

const shared = (members, topic, partitions, { all = true, timeoutMs } = {}) =>
  until(() => isShared(members, topic, partitions, all), `${members.length} members share ${partitions} partitions`, timeoutMs)

// Wait until the members have read all values between them, once or oftener.
function everything (members, values, timeoutMs) {
  const has = () => new Set(members.flatMap(m => m.values))
  return until(() => {
    const found = has()
    return values.every(v => found.has(String(v)))
  }, 'all is read', timeoutMs).catch(error => {
    const found = has()
    throw new Error(`${error.message}; missing: ${values.filter(v => !found.has(String(v))).slice(0, 20)}`)
  })
}

// The body of a case about groups: it is given a topic, a group and a way to start members, all of which are stopped in
// the end. None may have crashed, unless the body says which it expects.
function withMembers (what, partitions, body) {
  return async () => {
    const topic = name(what)
    const groupId = `${topic}-group`
    const members = []
    const crashing = new Set()
    const member = (settings, topics = topic, group = groupId) => {
      const one = new Member(group, topics, settings)
      members.push(one)
      return one.start()
    }
    if (partitions) await create(topic, partitions)
    const crashes = () => members.filter(m => !crashing.has(m)).flatMap(m => m.events.CRASH).map(c => c.error.cause?.stack || c.error.stack)
    try {
      await body({ topic, groupId, member, expectCrash: one => crashing.add(one) })
      assert.deepEqual(crashes(), [], 'crashes')
    } catch (error) {
      if (crashes().length > 0) note(`crashed: ${crashes().join('\n')}`)
      throw error
    } finally {
      await Promise.all(members.map(m => m.stop()))
    }
  }
}

module.exports = { Member, withMembers, shared, isShared, everything }
