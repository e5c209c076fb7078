import { setImmediate as turn } from 'node:timers/promises'
import { eventually } from '@cashflow/async'
import type { StoredKey } from '@cashflow/db'
import { expect } from 'chai'
import { createKeyLookups, type FoundKey, type KeyLookupsOptions } from '../../src/auth/key-lookups.ts'
import { aStoredKey } from './stored-key.ts'

/** Look-ups with statements that the test answers itself. */
function startLookups(options: Partial<KeyLookupsOptions> = {}) {
  const statements: { ids: readonly string[]; answer(keys?: StoredKey[]): void; fail(error: Error): void }[] = []
  const find = (ids: readonly string[]) => {
    const { promise, resolve, reject } = Promise.withResolvers<StoredKey[]>()
    statements.push({ ids, answer: (keys = []) => resolve(keys), fail: reject })
    return promise
  }
  const unreadable: string[] = []
  const lookups = createKeyLookups({
    ...{ find, idsMax: 8, addressIdsMax: 2 },
    onUnreadable: (id) => void unreadable.push(id),
    ...options,
  })
  const ask = (address: string, ...ids: string[]) => ids.map((id) => lookups.find(id, address))
  return { statements, unreadable, ask, find: lookups.find }
}

const codeOf = (error: unknown) => (error as { code?: unknown }).code

describe('key look-ups', () => {
  it('run one statement at a time, and gather the ids that arrive in its time', async () => {
    const { statements, ask } = startLookups()
    const [first] = ask('a', '1')
    const others = [...ask('b', '2'), ...ask('c', '3')]
    expect(statements.map(({ ids }) => ids)).to.deep.equal([['1']])
    statements[0]?.answer([aStoredKey({ id: '1' })])
    expect((await first)?.key?.id).to.equal('1')
    await eventually(() => expect(statements.map(({ ids }) => ids)).to.deep.equal([['1'], ['2', '3']]))
    statements[1]?.answer([aStoredKey({ id: '3' })])
    expect((await Promise.all(others)).map(({ key }) => key?.id)).to.deep.equal([undefined, '3'])
  })

  it('give each address at most its share of a statement, in turns', async () => {
    const { statements, ask } = startLookups()
    const asked = [
      ...ask('flood', '1', '2', '3', '4', '5', '6', '7'),
      ...ask('other flood', '11', '12', '13', '14'),
      ...ask('client', '21'),
    ]
    while (statements.at(-1)?.ids.includes('7') !== true) {
      const sent = statements.length
      statements.at(-1)?.answer()
      await eventually(() => expect(statements).to.have.length(sent + 1))
    }
    statements.at(-1)?.answer()
    await Promise.all(asked)
    expect(statements.map(({ ids }) => ids)).to.deep.equal([
      ['1'],
      ['2', '11', '21', '3', '12'],
      ['4', '13', '5', '14'],
      ['6', '7'],
    ])
  })

  it('serve an address that waits behind more addresses than a statement has ids', async () => {
    const { statements, ask } = startLookups({ idsMax: 2 })
    const asked = [
      ...ask('first', '0'),
      ...ask('a', 'a1', 'a2', 'a3'),
      ...ask('b', 'b1', 'b2', 'b3'),
      ...ask('client', 'c1'),
    ]
    for (let at = 0; at < 5; at += 1) {
      await eventually(() => expect(statements).to.have.length(at + 1))
      statements[at]?.answer()
    }
    await Promise.all(asked)
    expect(statements.slice(1, 3).map(({ ids }) => ids)).to.deep.equal([
      ['a1', 'b1'],
      ['c1', 'a2'],
    ])
  })

  it('refuse the oldest id of an address for its newest one if too many wait, and none of other addresses', async () => {
    const { statements, ask, find } = startLookups({ waitingMax: 4, addressWaitingMax: 2 })
    const asked = ask('a', '1', '2', '3', '4').concat(ask('b', '5', '6'))
    expect(await find('7', 'c').catch(codeOf), 'of an address that has none').to.equal('overloaded')
    asked.push(...ask('b', '8'))
    expect(await asked[1]?.catch(codeOf)).to.equal('overloaded')
    expect(await asked[4]?.catch(codeOf)).to.equal('overloaded')
    statements[0]?.answer()
    await eventually(() => expect(statements.at(-1)?.ids).to.deep.equal(['3', '6', '4', '8']))
    statements[1]?.answer()
    await Promise.all([0, 2, 3, 5, 6].map((at) => asked[at]))
  })

  it('look up the right key of an address with 1,000 waiting wrong ones', async () => {
    const { statements, ask } = startLookups({ idsMax: 500, addressIdsMax: 125 })
    const wrong = ask('a', ...Array.from({ length: 1_001 }, (_, n) => `wrong ${n}`)).map((asked) => asked.catch(codeOf))
    const [right] = ask('a', 'right')
    while (statements.at(-1)?.ids.includes('right') !== true) {
      const sent = statements.length
      statements.at(-1)?.answer()
      await eventually(() => expect(statements).to.have.length(sent + 1))
    }
    statements.at(-1)?.answer([aStoredKey({ id: 'right' })])
    expect((await right)?.key?.id).to.equal('right')
    expect((await Promise.all(wrong)).filter((outcome) => outcome === 'overloaded')).to.have.length(1)
  })

  it('halve the ids of a statement that one of them may have broken, and refuse that one for a second', async () => {
    let nowMs = 1
    const { statements, unreadable, ask, find } = startLookups({ addressIdsMax: 8, now: () => nowMs })
    const [first] = ask('a', '0')
    const asked = ask('a', '1', '2', 'damaged', '4').map((found) => found.catch(codeOf))
    /** Answers all statements, until all these look-ups have ended. */
    const settle = async (...lookups: (Promise<unknown> | undefined)[]) => {
      let isDone = false
      const all = Promise.all(lookups).finally(() => {
        isDone = true
      })
      for (let at = statements.length - 1; !isDone; await turn()) {
        const statement = statements[at]
        if (!statement) continue
        at += 1
        if (statement.ids.includes('damaged'))
          statement.fail(Object.assign(new Error('invalid page'), { code: 'XX001' }))
        else statement.answer(statement.ids.map((id) => aStoredKey({ id })))
      }
      return await all
    }
    await settle(first)
    const outcomes = await settle(...asked, find('5', 'b'))
    expect(outcomes.map((outcome) => (outcome as Partial<FoundKey>).key?.id ?? outcome)).to.deep.equal([
      '1',
      '2',
      'unavailable',
      '4',
      '5',
    ])
    expect(unreadable).to.deep.equal(['damaged'])
    const sent = statements.length
    nowMs += 999
    expect(await find('damaged', 'a').catch(codeOf)).to.equal('unavailable')
    expect(statements).to.have.length(sent)
    nowMs += 1
    const again = [...ask('a', '6'), ...ask('a', 'damaged', '7')].map((found) => found.catch(codeOf))
    await settle(...again)
    expect(
      statements.slice(sent).map(({ ids }) => ids),
      'apart from others',
    ).to.deep.equal([['6'], ['7'], ['damaged']])
  })

  it('repeat a statement after a transient error, and count the age from its repetition', async () => {
    let nowMs = 1
    const { statements, ask } = startLookups({ now: () => nowMs })
    const [asked] = ask('a', '1')
    nowMs = 50
    statements[0]?.fail(Object.assign(new Error('terminating connection'), { code: '57P01' }))
    await eventually(() => expect(statements).to.have.length(2))
    statements[1]?.answer([aStoredKey({ id: '1' })])
    expect((await asked)?.askedAt).to.equal(50)
  })

  it('reject all that wait when a statement fails, and work again with the next one', async () => {
    const { statements, ask } = startLookups()
    const asked = [...ask('a', '1', '2'), ...ask('b', '3')].map((found) => found.catch(codeOf))
    statements[0]?.fail(Object.assign(new Error('no such table'), { code: '42P01' }))
    expect(await Promise.all(asked)).to.deep.equal(['42P01', '42P01', '42P01'])
    const [next] = ask('a', '4')
    await eventually(() => expect(statements).to.have.length(2))
    statements[1]?.answer([aStoredKey({ id: '4' })])
    expect((await next)?.key?.id).to.equal('4')
  })

  it('send no statement while one is not answered after its deadline, and ignore its late answer', async () => {
    const { statements, ask, find } = startLookups({ deadlineMs: 500 })
    const [asked] = ask('a', '1')
    expect(await asked?.catch(codeOf)).to.equal('deadline_passed')
    expect(await find('2', 'a').catch(codeOf)).to.equal('deadline_passed')
    expect(statements).to.have.length(1)
    statements[0]?.answer([aStoredKey({ id: '1' })])
    await turn()
    const [next] = ask('a', '3')
    await eventually(() => expect(statements).to.have.length(2))
    statements[1]?.answer([aStoredKey({ id: '3' })])
    expect((await next)?.key?.id).to.equal('3')
  })
})
