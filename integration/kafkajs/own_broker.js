// A broker of one's own, for cases that kill its processes: started on a free port, with a store in a temporary folder.
//
//   const broker = await OwnBroker.start(6)      // workers; skips the case where there is no program to start
//   ... broker.bootstrap, broker.killWorker('worker-2') ...
//   await broker.stop()
//
// The program is what BROKER names, else build/broker of this tree. What the broker does is read from its log.
'use strict'

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const { skip, until } = require('../lib/cases')

const program = process.env.BROKER || path.join(__dirname, '..', '..', 'build', 'broker')

function freePort () {
  return new Promise((resolve, reject) => {
    const server = net.createServer().on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

const escape = text => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

class OwnBroker {
  static async start (workers) {
    if (!fs.existsSync(program)) skip(`there is no ${program} to be started and killed`)
    const broker = new OwnBroker()
    broker.workers = workers
    broker.port = await freePort()
    broker.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'forka-kafkajs-'))
    await broker.spawn()
    return broker
  }

  get bootstrap () { return `127.0.0.1:${this.port}` }

  async spawn () {
    const from = this.log().length
    const out = fs.openSync(path.join(this.folder, 'log'), 'a')
    this.process = spawn(program, [
      '-w', this.workers, '-o', `listeners=PLAINTEXT://127.0.0.1:${this.port}`, '-d', path.join(this.folder, 'data'), '--log-level', 'debug'
    ], { stdio: ['ignore', out, out] })
    fs.closeSync(out)
    this.ended = new Promise(resolve => this.process.on('exit', resolve))
    process.once('exit', this.atExit = () => this.process.kill('SIGKILL'))
    await until(() => this.log().slice(from).includes('broker is ready') && Object.keys(this.workerPids()).length === this.workers, 'the broker is ready')
  }

  log () {
    try {
      return fs.readFileSync(path.join(this.folder, 'log'), 'utf8')
    } catch (error) {
      return ''
    }
  }

  // { 'worker-0': pid, ... }: those that live, and have given themselves their name.
  workerPids () {
    const found = {}
    const { pid } = this.process
    for (const child of fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)) {
      try {
        const name = fs.readFileSync(`/proc/${child}/comm`, 'utf8').trim()
        const isZombie = / Z /.test(fs.readFileSync(`/proc/${child}/stat`, 'utf8'))
        if (name.startsWith('worker-') && !isZombie) found[name] = Number(child)
      } catch (error) {
        // it is gone
      }
    }
    return found
  }

  // Kill a worker; returns when its successor is there.
  async killWorker (name) {
    const pid = this.workerPids()[name]
    process.kill(pid, 'SIGKILL')
    await until(() => ![undefined, pid].includes(this.workerPids()[name]), `a successor of ${name}`)
  }

  // Kill the supervisor, and all with it; start again.
  async killAll () {
    const children = Object.values(this.workerPids())
    this.process.kill('SIGKILL')
    await this.ended
    process.off('exit', this.atExit)
    await until(() => children.every(pid => !fs.existsSync(`/proc/${pid}`)), 'its workers are gone')
    await this.spawn()
  }

  // The worker that coordinates the group, by what it says when the group rebalances.
  owner (groupId) {
    const found = [...this.log().matchAll(new RegExp(`(worker-\\d+)\\[\\d+\\] group rebalances group=${escape(groupId)} `, 'g'))]
    assert.ok(found.length > 0, `nobody has said that it rebalances ${groupId}`)
    return found.at(-1)[1]
  }

  // The workers that serve this client's open connections.
  servingClient (clientId) {
    const open = new Map()
    for (const line of this.log().split('\n')) {
      const [, worker, address] = /(worker-\d+\[\d+\]).* client=([\d.]+:\d+)/.exec(line) || []
      if (!worker) continue
      if (line.includes(' connection closed ')) open.delete(address)
      else if (line.includes(` client_id=${clientId} `)) open.set(address, worker)
    }
    const living = Object.entries(this.workerPids()).map(([name, pid]) => `${name}[${pid}]`)
    return new Set([...open.values()].filter(worker => living.includes(worker)).map(worker => worker.split('[')[0]))
  }

  count (text) {
    return this.log().split(text).length - 1
  }

  async stop () {
    this.process.kill('SIGTERM')
    const status = await Promise.race([this.ended, new Promise(resolve => setTimeout(resolve, 5000, 'not within 5 s'))])
    this.process.kill('SIGKILL')
    process.off('exit', this.atExit)
    const log = this.log()
    fs.rmSync(this.folder, { recursive: true, force: true })
    assert.equal(status, 0, 'the broker stops as asked')
    assert.ok(!/broken invariant|ERROR: \w+Sanitizer|runtime error:/.test(log), 'nothing is broken')
  }
}

module.exports = { OwnBroker }
