// Cases of a suite in JavaScript, printed as lib/harness/cases.py prints them.
//
//   const { test, run } = require('../lib/cases')
//   test('a message there', async () => { ... })   // a rejection is a failure
//   run()
//
// CASE=text in the environment runs only the cases whose name holds the text.
'use strict'

const { execFileSync } = require('node:child_process')

const cases = []
const note = text => console.log(String(text).replace(/^/gm, '# '))

function test (name, body, timeoutMs = 30000) {
  cases.push({ name, body, timeoutMs })
}

function within (promise, timeoutMs) {
  let timer
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${timeoutMs} ms`)), timeoutMs)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

async function run (atEnd = async () => {}) {
  let failed = 0
  for (const { name, body, timeoutMs } of cases.filter(c => c.name.includes(process.env.CASE || ''))) {
    try {
      await within(body(), timeoutMs * Number(process.env.PATIENCE || 1))
      console.log(`ok - ${name}`)
    } catch (error) {
      failed++
      console.log(`not ok - ${name}`)
      note(error.stack || error)
    }
  }
  await within(atEnd(), 10000).catch(error => note(`at the end: ${error.stack}`))
  process.exit(failed ? 1 : 0)
}

// Standard output of kcat, which must succeed.
function kcat (...args) {
  const options = typeof args.at(-1) === 'object' ? args.pop() : {}
  return execFileSync('kcat', ['-b', process.env.BOOTSTRAP, ...args.map(String)], {
    encoding: 'utf8', maxBuffer: 1 << 28, timeout: 20000, ...options
  })
}

// All that is in a topic, as kcat reads it.
function kcatConsume (topic, ...args) {
  const out = kcat('-C', '-q', '-e', '-J', '-X', 'fetch.wait.max.ms=20', '-t', topic, ...args)
  return out.split('\n').filter(Boolean).map(line => JSON.parse(line))
}

module.exports = { test, run, note, kcat, kcatConsume }
