// A group consumer in a process of its own, which can be killed. Its parent is told what it is assigned and what it reads.
//
//   node child.js GROUP TOPIC        (BOOTSTRAP names the broker)
'use strict'

const { makeClient } = require('./client')
const { Member } = require('./member')

const [groupId, topic] = process.argv.slice(2)
const member = new Member(groupId, topic, { from: makeClient('child') })
const tell = () => process.send({ assigned: member.assigned, got: member.got })

process.on('disconnect', () => process.exit(1)) // the parent is gone
process.on('message', () => member.stop().then(() => process.exit(0)))
member.consumer.on(member.consumer.events.GROUP_JOIN, tell)
member.consumer.on(member.consumer.events.END_BATCH_PROCESS, tell)
member.start()
