import { setImmediate as turn } from 'node:timers/promises'
import { eventually } from '@cashflow/async'
import type { StoredKey } from '@cashflow/db'
import { expect } from 'chai'
import { createKeyLookups, type KeyLookupsOptions } from '../../src/auth/key-lookups.ts'
import { aStoredKey } from './stored-key.ts'

/** Look-ups with statements that the test answers itself. */
function startLookups(options: Partial<KeyLookupsOptions> = {}) {
  const statements: { ids: readonly string[]; answer(keys?: StoredKey[]): void; fail(error: Error): void }[] = []
  const find = (ids: readonly string[]) => {
    const { promise, resolve, reject } = Promise.withResolvers<StoredKey[]>()
    statements.push({ ids, answer: (keys = []) => resolve(keys), fail: reject })
    return promise
  }
  const lookups = createKeyLookups({ find, idsMax: 8, addressIdsMax: 2, ...options })
  const ask = (address: string, ...ids: string[]) => ids.map((id) => lookups.find(id, address))
  return { statements, ask, find: lookups.find }
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

  it('refuse an id as overloaded if too many wait, for its own address first', async () => {
    const { statements, ask, find } = startLookups({ waitingMax: 4, addressWaitingMax: 2 })
    const asked = [...ask('a', '1', '2', '3')]
    expect(await find('4', 'a').catch(codeOf)).to.equal('overloaded')
    asked.push(...ask('b', '5', '6'))
    expect(await find('7', 'c').catch(codeOf)).to.equal('overloaded')
    statements[0]?.answer()
    await eventually(() => expect(statements).to.have.length(2))
    statements[1]?.answer()
    await Promise.all(asked)
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
