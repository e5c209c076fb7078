import { randomUUID } from 'node:crypto'
import { eventually, openClient } from '@cashflow/testing'
import { expect } from 'chai'
import type pg from 'pg'
import { createSettledNotifier, SETTLED_CHANNEL } from '../../src/index.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

describe('notifier of settled payments', () => {
  let store: TestStore
  let listener: pg.Client
  let heard: string[] = []
  const failed: unknown[] = []
  const fails = { holds: ({ error }: { error: unknown }) => void failed.push(error), ended() {} }
  before(async () => {
    store = await createTestStore(2)
    listener = await openClient(store.database.url)
    listener.on('notification', ({ payload = '' }) => heard.push(payload))
    await listener.query(`listen ${SETTLED_CHANNEL}`)
  })
  beforeEach(() => {
    heard = []
  })
  after(async () => {
    await listener.end()
    await store.drop()
  })

  const ids = (count: number) => Array.from({ length: count }, () => randomUUID())

  // Promise 89
  it('db: notifies at once of the first settled payment, and together of those within the next 50 ms', async () => {
    const settled = ids(150)
    const { notify } = createSettledNotifier(store.db, fails)
    for (const id of settled) notify(id)
    await eventually(() => expect(heard.join().split(',')).to.deep.equal(settled))
    expect(heard).to.have.length(2)
    expect(heard[0]).to.equal(settled[0])
  })

  it('db: notifies of 500 payments at the same time in notifications that PostgreSQL takes', async () => {
    const settled = ids(500)
    const { notify } = createSettledNotifier(store.db, fails)
    for (const id of settled) notify(id)
    await eventually(() => expect(heard.join().split(',')).to.deep.equal(settled))
    expect(heard.map((payload) => payload.split(',').length)).to.deep.equal([1, 200, 200, 99])
    expect(failed).to.deep.equal([])
  })

  it('db: lets at most 1,000 ids wait for a notification, so that its memory is bounded', async () => {
    const { notify } = createSettledNotifier(store.db, fails)
    for (const id of ids(5_000)) notify(id)
    await eventually(() => expect(heard.join().split(',')).to.have.length(1_001)) // The first one does not wait.
  })
})
