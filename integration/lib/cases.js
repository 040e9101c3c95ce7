// Cases of a suite in JavaScript, printed as lib/harness/cases.py prints them.
//
//   const { test, run } = require('../lib/cases')
//   test('a message there', async () => { ... })   // a rejection is a failure
//   run()
//
// CASE=text in the environment runs only the cases whose name holds the text. Where something is missing that a case
// needs, skip('why') ends it.
'use strict'

const { execFileSync } = require('node:child_process')

const cases = []
const patience = Number(process.env.PATIENCE || 1)
const note = text => console.log(String(text).replace(/^/gm, '# '))

function test (name, body, timeoutMs = 30000) {
  cases.push({ name, body, timeoutMs })
}

class Skip extends Error {}

function skip (why) {
  throw new Skip(why)
}

function within (promise, timeoutMs) {
  let timer
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${timeoutMs} ms`)), timeoutMs)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

// Wait until the condition, which may be a promise's, holds; what it gives is returned.
async function until (condition, what, timeoutMs = 20000) {
  for (const end = Date.now() + timeoutMs * patience; ; await sleep(10)) {
    const found = await condition()
    if (found) return found
    if (Date.now() > end) throw new Error(`not within ${timeoutMs * patience} ms: ${what}`)
  }
}

async function runCase ({ name, body, timeoutMs }) {
  try {
    await within(body(), timeoutMs * patience)
    console.log(`ok - ${name}`)
    return 'passed'
  } catch (error) {
    if (error instanceof Skip) {
      console.log(`ok - ${name} # SKIP ${error.message}`)
      return 'skipped'
    }
    console.log(`not ok - ${name}`)
    note(error.stack || error)
    return 'failed'
  }
}

// tally: say at the end how it went, for a person; integration/run counts itself.
async function run (atEnd = async () => {}, { tally = false } = {}) {
  const count = { passed: 0, failed: 0, skipped: 0 }
  for (const one of cases.filter(c => c.name.includes(process.env.CASE || ''))) count[await runCase(one)]++
  await within(atEnd(), 10000).catch(error => note(`at the end: ${error.stack}`))
  if (tally) console.log(`\n${count.passed} passed, ${count.failed} failed` + (count.skipped ? `, ${count.skipped} skipped` : ''))
  process.exit(count.failed ? 1 : 0)
}

// Standard output of kcat, which must succeed.
function kcat (...args) {
  const options = typeof args.at(-1) === 'object' ? args.pop() : {}
  try {
    return execFileSync('kcat', ['-b', process.env.BOOTSTRAP, ...args.map(String)], {
      encoding: 'utf8', maxBuffer: 1 << 28, timeout: 20000, ...options
    })
  } catch (error) {
    if (error.code === 'ENOENT') skip('kcat is not installed')
    throw error
  }
}

// All that is in a topic, as kcat reads it.
function kcatConsume (topic, ...args) {
  const out = kcat('-C', '-q', '-e', '-J', '-X', 'fetch.wait.max.ms=20', '-t', topic, ...args)
  return out.split('\n').filter(Boolean).map(line => JSON.parse(line))
}

module.exports = { test, run, skip, note, sleep, until, kcat, kcatConsume }
