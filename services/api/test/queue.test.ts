import { expect } from 'chai'
import { createQueue } from '../src/queue.ts'

const here = new AbortController().signal

describe('The queue for PostgreSQL', () => {
  let logs: [message: string, fields?: object][]
  let held: (() => void)[]
  let begun: string[]
  const logger = { debug() {}, info() {}, error() {}, warn: (...line: [string, object?]) => void logs.push(line) }
  const create = () => createQueue({ name: 'work', runningMax: 2, waitingMax: 2, logger })
  const work = (name: string) => () => {
    begun.push(name)
    return new Promise<string>((resolve) => held.push(() => resolve(name)))
  }
  const settled = () => new Promise(setImmediate)
  const reasonOf = (promise: Promise<unknown>) => promise.catch((error: unknown) => error)

  beforeEach(() => {
    logs = []
    held = []
    begun = []
  })

  it('lets so many work at once, and the others in the order of their coming', async () => {
    const queue = create()
    const all = ['a', 'b', 'c', 'd'].map((name) => queue.run(work(name), here))
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

  it('goes on after work that failed', async () => {
    const queue = create()
    const fail = async () => Promise.reject(new Error('failed'))
    const all = [1, 2, 3, 4].map(() => reasonOf(queue.run(fail, here)))
    for (const reason of await Promise.all(all)) expect(reason).to.have.property('message', 'failed')
    expect(await queue.run(async () => 'fine', here)).to.equal('fine')
  })

  it('refuses at once whoever comes when it is full, and says so once a burst', async () => {
    const queue = create()
    for (const burst of [1, 2]) {
      const admitted = ['a', 'b', 'c', 'd'].map((name) => queue.run(work(name), here))
      for (const name of ['e', 'f', 'g']) {
        const refusal = await reasonOf(queue.run(work(name), here))
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

  it('refuses whoever has waited too long, and begins nothing for him', async () => {
    const queue = createQueue({ name: 'work', runningMax: 2, waitingMax: 2, waitMaxMs: 20, logger })
    const running = ['a', 'b'].map((name) => queue.run(work(name), here))
    const late = ['c', 'd'].map((name) => reasonOf(queue.run(work(name), here)))
    for (const refusal of await Promise.all(late)) expect(refusal).to.include({ code: 'overloaded' })
    expect(queue.waiting).to.equal(0)
    for (const release of held.splice(0)) release()
    expect(await Promise.all(running)).to.deep.equal(['a', 'b'])
    expect(begun).to.deep.equal(['a', 'b'])
    expect(logs.map(([message]) => message)).to.deep.equal(['overloaded, refusing requests', 'no longer overloaded'])
  })

  it('forgets whoever leaves before its turn, and has room for another', async () => {
    const queue = create()
    const leaving = new AbortController()
    const running = ['a', 'b'].map((name) => queue.run(work(name), here))
    const left = reasonOf(queue.run(work('left'), leaving.signal))
    const waiting = queue.run(work('c'), here)
    leaving.abort(new Error('gone'))
    expect(await left).to.have.property('message', 'gone')
    const last = queue.run(work('d'), here)
    while (held.length > 0) {
      held.shift()?.()
      await settled()
    }
    expect(await Promise.all([...running, waiting, last])).to.deep.equal(['a', 'b', 'c', 'd'])
    expect(begun).not.to.include('left')
    expect(await reasonOf(queue.run(work('late'), leaving.signal))).to.have.property('message', 'gone')
  })
})
