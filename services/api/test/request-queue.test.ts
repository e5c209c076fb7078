import { EventEmitter } from 'node:events'
import { expect } from 'chai'
import type { Response } from 'express'
import { createRequestQueue, type RequestQueueOptions } from '../src/request-queue.ts'

/** The response to a client that is connected. */
const client = (closed = false) =>
  Object.assign(new EventEmitter(), {
    ...{ closed, req: { socket: { destroyed: false } } },
    locals: { assertKey: async () => {} },
  }) as unknown as Response
const reasonOf = (promise: Promise<unknown>) => promise.catch((error: unknown) => error)

describe('request queue', () => {
  let logs: [message: string, fields?: object][]
  let held: (() => void)[]
  let begun: string[]
  const logger = { debug() {}, info() {}, error() {}, warn: (...line: [string, object?]) => void logs.push(line) }
  const create = (options: Partial<RequestQueueOptions> = {}) =>
    createRequestQueue({ name: 'work', runningMax: 2, waitingMax: 2, logger, ...options })
  const work = (name: string) => () => {
    begun.push(name)
    return new Promise<string>((resolve) => held.push(() => resolve(name)))
  }
  const settled = () => new Promise(setImmediate)

  beforeEach(() => {
    logs = []
    held = []
    begun = []
  })

  it('runs as many requests as there are slots, and the others in the order of their arrival', async () => {
    const queue = create()
    const all = ['a', 'b', 'c', 'd'].map((name) => queue.run(client(), work(name)))
    expect(await settled().then(() => begun)).to.deep.equal(['a', 'b'])
    held[1]?.()
    expect(await all[1]).to.equal('b')
    await settled()
    expect(begun).to.deep.equal(['a', 'b', 'c'])
    held[0]?.()
    await settled()
    held[2]?.()
    held[3]?.()
    expect(await Promise.all(all)).to.deep.equal(['a', 'b', 'c', 'd'])
  })

  it('releases the slot of work that failed', async () => {
    const queue = create()
    const fail = async () => Promise.reject(new Error('failed'))
    const all = [1, 2, 3, 4].map(() => reasonOf(queue.run(client(), fail)))
    for (const reason of await Promise.all(all)) expect(reason).to.have.property('message', 'failed')
    expect(await queue.run(client(), async () => 'fine')).to.equal('fine')
  })

  it('rejects requests immediately while it is full, and logs it once a burst', async () => {
    const queue = create()
    for (const burst of [1, 2]) {
      const admitted = ['a', 'b', 'c', 'd'].map((name) => queue.run(client(), work(name)))
      for (const name of ['e', 'f', 'g']) {
        const refusal = await reasonOf(queue.run(client(), work(name)))
        expect(refusal).to.include({ code: 'overloaded' })
      }
      expect(logs).to.have.length(2 * burst - 1)
      while (held.length > 0) {
        held.shift()?.()
        await settled()
      }
      await Promise.all(admitted)
      expect(logs.at(-1)).to.deep.equal(['no longer overloaded', { queue: 'work', refused: 3 }])
    }
    expect(begun).not.to.include('e')
  })

  // Promise 26
  it('rejects a request that waited too long, and never starts its work', async () => {
    const queue = create({ waitMaxMs: 20 })
    const running = ['a', 'b'].map((name) => queue.run(client(), work(name)))
    const late = ['c', 'd'].map((name) => reasonOf(queue.run(client(), work(name))))
    for (const refusal of await Promise.all(late)) expect(refusal).to.include({ code: 'overloaded' })
    expect(queue.waiting).to.equal(0)
    for (const release of held.splice(0)) release()
    expect(await Promise.all(running)).to.deep.equal(['a', 'b'])
    expect(begun).to.deep.equal(['a', 'b'])
    expect(logs.map(([message]) => message)).to.deep.equal(['overloaded, refusing requests', 'no longer overloaded'])
  })

  it('removes a waiting request whose client has gone, and has room for another', async () => {
    const queue = create()
    const leaving = client()
    const running = ['a', 'b'].map((name) => queue.run(client(), work(name)))
    const left = reasonOf(queue.run(leaving, work('left')))
    const waiting = queue.run(client(), work('c'))
    leaving.emit('close')
    expect(await left).to.have.property('code', 'client_gone')
    const last = queue.run(client(), work('d'))
    while (held.length > 0) {
      held.shift()?.()
      await settled()
    }
    expect(await Promise.all([...running, waiting, last])).to.deep.equal(['a', 'b', 'c', 'd'])
    expect(begun).not.to.include('left')
    expect(await reasonOf(queue.run(client(true), work('late')))).to.have.property('code', 'client_gone')
    expect(begun).not.to.include('late')
  })

  it('starts no waiting attempt after the deadline of its request', async () => {
    const queue = create({ deadlineMs: 20 })
    const late = ['a', 'b', 'c'].map((name) => reasonOf(queue.run(client(), work(name))))
    for (const reason of await Promise.all(late)) expect(reason).to.have.property('code', 'deadline_passed')
    for (const release of held.splice(0)) release()
    await settled()
    expect([queue.running, queue.waiting]).to.deep.equal([0, 0])
    expect(begun).to.deep.equal(['a', 'b'])
  })
})

describe('request queue: work for PostgreSQL', () => {
  const failure = (code: string) => Object.assign(new Error('no'), { code })
  const logger = { debug() {}, info() {}, error() {}, warn() {} }
  const run = (work: () => Promise<unknown>, deadlineMs?: number) => {
    const limits = { name: 'work', runningMax: 1, waitingMax: 0, ...(deadlineMs && { deadlineMs }) }
    return createRequestQueue({ ...limits, random: () => 0, logger }).run(client(), work)
  }

  it('tries work for PostgreSQL again after a transient error', async () => {
    const failures = [failure('40001'), failure('ECONNREFUSED')]
    const work = async () => {
      const next = failures.shift()
      if (next) throw next
      return 'done'
    }
    expect(await run(work)).to.equal('done')
  })

  for (const [code, expected] of [
    ['40P01', 4],
    ['42P01', 1],
    ['23505', 1],
  ] as const) {
    it(`tries work that always fails with ${code} ${expected === 1 ? 'once' : `${expected} times`}`, async () => {
      let attempts = 0
      const work = async () => {
        attempts += 1
        throw failure(code)
      }
      expect(await reasonOf(run(work))).to.have.property('code', code)
      expect(attempts).to.equal(expected)
    })
  }

  it('starts no work again in a process that was frozen until the deadline', async () => {
    let attempts = 0
    const work = async () => {
      attempts += 1
      // Older than the timer of the pause after this attempt, so it fires before that one.
      setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300))
      throw failure('40001')
    }
    expect(await reasonOf(run(work, 200))).to.have.property('code', '40001')
    expect(attempts).to.equal(1)
  })
})
