import { defined } from '@cashflow/async'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { ALONE, createGroupCommit } from '../../src/index.ts'

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
const withCode = (code: string) => Object.assign(new Error(code), { code })

describe('group commit', () => {
  let running: Running[]
  const create = ({ batchMax = 10, writersMax = 1, aloneMax = 2 } = {}) =>
    createGroupCommit<Item, string>({
      batchMax,
      writersMax,
      aloneMax,
      commit(items) {
        const { promise, resolve, reject } = Promise.withResolvers<string[]>()
        const names = items.map(({ name }) => name)
        running.push({ names: names.join(), succeed: () => resolve(names.map((name) => `${name}!`)), fail: reject })
        return promise
      },
    })
  const all = (names: string, group: ReturnType<typeof create>) => [...names].map((name) => group.commit({ name }))
  const begun = () => running.map(({ names }) => names)
  const outcomes = (promises: Promise<string>[]) =>
    Promise.all(promises.map((promise) => promise.catch((error: Error) => error.message)))

  beforeEach(() => {
    running = []
  })

  it('commits a single item at once', async () => {
    const [one] = all('a', create())
    await nextTurn()
    expect(begun()).to.deep.equal(['a'])
    running[0]?.succeed()
    expect(await one).to.equal('a!')
  })

  it('commits together the items that arrive in one turn, and those that arrive while a batch is in flight', async () => {
    const group = create()
    const first = all('abc', group)
    await nextTurn()
    const second = [...all('d', group), ...(await nextTurn().then(() => all('ef', group)))]
    await nextTurn()
    expect(begun()).to.deep.equal(['a,b,c'])
    running[0]?.succeed()
    expect(await Promise.all(first)).to.deep.equal(['a!', 'b!', 'c!'])
    expect(begun()).to.deep.equal(['a,b,c', 'd,e,f'])
    running[1]?.succeed()
    expect(await Promise.all(second)).to.deep.equal(['d!', 'e!', 'f!'])
  })

  it('commits at most `batchMax` items together, and full batches concurrently, in the order of arrival', async () => {
    const group = create({ batchMax: 2, writersMax: 2 })
    const promises = all('abcdefg', group)
    await nextTurn()
    expect(begun()).to.deep.equal(['a,b', 'c,d'])
    running[1]?.succeed()
    await promises[3]
    expect(begun()).to.deep.equal(['a,b', 'c,d', 'e,f'])
    for (const at of [0, 2]) running[at]?.succeed()
    await promises[5]
    running[3]?.succeed()
    expect((await Promise.all(promises)).join()).to.equal('a!,b!,c!,d!,e!,f!,g!')
  })

  it('starts another batch next to batches that are slow', async () => {
    const group = create({ writersMax: 3 })
    const promises = all('a', group)
    await nextTurn()
    promises.push(...all('b', group))
    await nextTurn()
    expect(begun()).to.deep.equal(['a'])
    await eventually(() => expect(begun()).to.deep.equal(['a', 'b']))
    promises.push(...all('cd', group))
    await eventually(() => expect(begun()).to.deep.equal(['a', 'b', 'c,d']))
    for (const { succeed } of running) succeed()
    expect(await Promise.all(promises)).to.deep.equal(['a!', 'b!', 'c!', 'd!'])
  })

  it('starts another batch when three times as many items wait as are in flight', async () => {
    const group = create({ writersMax: 3 })
    const promises = all('a', group)
    await nextTurn()
    promises.push(...all('bc', group))
    await nextTurn()
    expect(begun()).to.deep.equal(['a'])
    promises.push(...all('d', group))
    await nextTurn()
    expect(begun()).to.deep.equal(['a', 'b,c,d'])
    for (const { succeed } of running) succeed()
    expect(await Promise.all(promises)).to.deep.equal(['a!', 'b!', 'c!', 'd!'])
  })

  for (const code of ['40P01', '55P03', '57014', '23514', 'XX001', '54000']) {
    it(`commits each item of a batch alone after ${code}, and fails only the item that caused it`, async () => {
      const group = create()
      const items = ['a', 'b', 'c'].map((name) => ({ name }))
      const results = outcomes(items.map((item) => group.commit(item)))
      await nextTurn()
      running[0]?.fail(withCode(code))
      await nextTurn()
      const others = all('xy', group)
      await nextTurn()
      // Two single items at a time, next to the batches.
      expect(begun()).to.deep.equal(['a,b,c', 'a', 'b', 'x,y'])
      running[1]?.succeed()
      running[2]?.fail(withCode(code))
      running[3]?.succeed()
      expect(await outcomes(others)).to.deep.equal(['x!', 'y!'])
      await nextTurn()
      running[4]?.succeed()
      expect(await results).to.deep.equal(['a!', code, 'c!'])

      const again = outcomes([group.commit(defined(items[1], 'item')), ...all('z', group)])
      await nextTurn()
      expect(begun().slice(5)).to.have.members(['b', 'z'])
      for (const { succeed } of running) succeed()
      expect(await again).to.deep.equal(['b!', 'z!'])
    })
  }

  it('commits an item alone whose row is locked, and returns the results of the others', async () => {
    const begun: string[] = []
    const group = createGroupCommit<Item, string>({
      batchMax: 10,
      writersMax: 1,
      aloneMax: 1,
      async commit(items, alone) {
        begun.push(`${items.map(({ name }) => name).join()}${alone ? ' alone' : ''}`)
        return items.map(({ name }) => (name === 'b' && !alone ? ALONE : `${name}!`))
      },
    })
    const b = { name: 'b' }
    expect(await Promise.all([{ name: 'a' }, b, { name: 'c' }].map((item) => group.commit(item)))).to.deep.equal([
      'a!',
      'b!',
      'c!',
    ])
    expect(await group.commit(b)).to.equal('b!')
    expect(begun).to.deep.equal(['a,b,c', 'b alone', 'b alone'])
  })

  it('fails the whole batch when the server is unavailable, and commits its items in a batch again', async () => {
    const group = create()
    const items = ['a', 'b'].map((name) => ({ name }))
    const first = outcomes(items.map((item) => group.commit(item)))
    await nextTurn()
    running[0]?.fail(withCode('ECONNRESET'))
    expect(await first).to.deep.equal(['ECONNRESET', 'ECONNRESET'])
    const second = items.map((item) => group.commit(item))
    await nextTurn()
    running[1]?.succeed()
    expect(await outcomes(second)).to.deep.equal(['a!', 'b!'])
    expect(begun()).to.deep.equal(['a,b', 'a,b'])
  })

  it('never commits an item that was aborted while it waited', async () => {
    const group = create()
    const [first] = all('a', group)
    await nextTurn()
    const leaving = new AbortController()
    const results = outcomes([group.commit({ name: 'gone' }, leaving.signal), ...all('k', group)])
    leaving.abort(new Error('the client has gone'))
    running[0]?.succeed()
    await first
    await nextTurn()
    running[1]?.succeed()
    expect(await results).to.deep.equal(['the client has gone', 'k!'])
    expect(begun()).to.deep.equal(['a', 'k'])
  })
})
