import { defined } from '@cashflow/async'
import { expect } from 'chai'
import { createGroupCommit } from '../../src/index.ts'

interface Item {
  readonly name: string
}

/** A transaction that lasts until the test ends it. */
interface Running {
  readonly names: string
  succeed(): void
  fail(error: Error): void
}

const nextTurn = () => new Promise(setImmediate)
const DEADLOCK = Object.assign(new Error('deadlock detected'), { code: '40P01' })

describe('group commit after a deadlock', () => {
  let running: Running[]
  let reported: string[]
  let nowMs: number
  /** Items with the same letter are of one source. Items with a digit cross no others. */
  const create = () =>
    createGroupCommit<Item, string>({
      batchMax: 10,
      writersMax: 2,
      aloneMax: 2,
      crosses: ({ name }) => (/[a-z]/.test(name) ? name : undefined),
      onDeadlock: (sources) => void reported.push(sources.join()),
      now: () => nowMs,
      commit(items) {
        const { promise, resolve, reject } = Promise.withResolvers<string[]>()
        const names = items.map(({ name }) => name)
        running.push({ names: names.join(), succeed: () => resolve(names.map((name) => `${name}!`)), fail: reject })
        return promise
      },
    })
  const all = (names: string, group: ReturnType<typeof create>) => [...names].map((name) => group.commit({ name }))
  const begun = () => running.map(({ names }) => names)

  /** Ends the oldest transaction, waits for what follows, and returns the names of its items. */
  async function end(error?: Error): Promise<string> {
    const oldest = defined(running.shift(), 'transaction')
    if (error) oldest.fail(error)
    else oldest.succeed()
    for (let turn = 0; turn < 3; turn++) await nextTurn()
    return oldest.names
  }

  beforeEach(() => {
    running = []
    reported = []
    nowMs = 0
  })

  it('commits items of its sources one by one, and others in batches next to them', async () => {
    const group = create()
    const promises = all('aab1', group)
    await nextTurn()
    promises.push(...all('a', group)) // It waits for a batch when the deadlock ends.
    await end(DEADLOCK)
    expect(reported).to.deep.equal(['a,b'])
    expect(begun()).to.have.members(['a', '1'])
    promises.push(...all('ac2', group))
    await nextTurn()
    expect(begun()).to.have.members(['a', '1', 'c,2'])
    while (running.length > 0) {
      expect(begun().filter((names) => /[ab]/.test(names))).to.have.length.at.most(1)
      await end()
    }
    expect(await Promise.all(promises)).to.deep.equal([...'aab1aac2'].map((name) => `${name}!`))
  })

  it('commits items of its sources in turns, so that many items of one do not delay those of another', async () => {
    const group = create()
    const promises = all('aaaab', group)
    await nextTurn()
    await end(DEADLOCK)
    promises.push(...all('b', group))
    const committed = []
    while (running.length > 0) committed.push(await end())
    expect(committed.join('')).to.equal('ababaa')
    await Promise.all(promises)
  })

  it('commits items of its sources in batches again 10 seconds later', async () => {
    const group = create()
    const promises = all('aa', group)
    await nextTurn()
    await end(DEADLOCK)
    for (const [atMs, expected] of [
      [9_999, 'a'],
      [10_001, 'a,a'],
    ] as const) {
      while (running.length > 0) await end()
      nowMs = atMs
      promises.push(...all('aa', group))
      await nextTurn()
      expect(begun()).to.deep.equal([expected])
    }
    await end()
    expect(await Promise.all(promises)).to.have.length(6)
  })

  it('commits no item one by one if no item of the batch could cross another', async () => {
    const group = create()
    const promises = all('12', group)
    await nextTurn()
    await end(DEADLOCK)
    expect(reported).to.deep.equal([])
    while (running.length > 0) await end()
    promises.push(...all('aa', group))
    await nextTurn()
    expect(begun()).to.deep.equal(['a,a'])
    await end()
    await Promise.all(promises)
  })
})
