import { defined } from '@cashflow/async'
import { eventually, type PrivatePostgres, startPrivatePostgres } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { expectProblem } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'
import { AUTH, createKey } from './merchant-keys.ts'

describe('api: unreadable key', function () {
  this.timeout(180_000)
  let server: PrivatePostgres
  let api: ApiUnderTest
  let damaged: string
  const readable: string[] = []

  before(async () => {
    server = await startPrivatePostgres()
    api = await startApi({ auth: AUTH, given: { url: server.url, name: 'payments', drop: () => server.stop() } })
    // More than fit into the first page of the table.
    const keys = new Map<string, string>()
    for (let count = 0; count < 120; count += 1) {
      const { id, text } = await createKey(api)
      keys.set(id, text)
    }
    const { rows } = await sql<{ id: string; onFirstPage: boolean }>`
      select id, ctid < '(1,0)'::tid as "onFirstPage" from api_keys`.execute(api.db)
    for (const { id, onFirstPage } of rows) if (!onFirstPage) readable.push(defined(keys.get(id), id))
    const { id } = defined(
      rows.find(({ onFirstPage }) => onFirstPage),
      'key on the first page',
    )
    damaged = defined(keys.get(id), id)
    await server.damage('api_keys', [0])
    await eventually(async () => expect((await api.agent.get('/health')).status).to.equal(200))
  })
  after(() => api.stop())

  const read = async (key: string) => await api.agent.get('/payments/x').set({ Authorization: `Bearer ${key}` })

  // Promise 45
  it('api: unreadable key gets 503, delays no other key by a second, and is logged once', async () => {
    expect(readable).to.have.length.greaterThan(20)
    api.logs.length = 0
    // All are new to the process, so they are looked up in the same statements.
    const together = await Promise.all([damaged, ...readable.slice(20)].map(read))
    expect(together.map(({ status }) => status)).to.deep.equal([503, ...readable.slice(20).map(() => 404)])
    let isEnded = false
    const sending = Promise.all(
      Array.from({ length: 3 }, async () => {
        while (!isEnded) expectProblem(await read(damaged), 503, 'unavailable')
      }),
    )
    for (const key of readable.slice(0, 20)) {
      const sentAt = performance.now()
      expect((await read(key)).status).to.equal(404)
      expect(performance.now() - sentAt).to.be.lessThan(1_000)
    }
    isEnded = true
    await sending
    const lines = api.logs.filter(({ level }) => level === 'error' || level === 'warn')
    expect(lines.map(({ message, key_ids }) => [message, key_ids])).to.deep.equal([
      ['keys cannot be read, their requests are answered with 503', [damaged.split('_')[2]]],
    ])
    expect(lines[0]?.error).to.include({ code: 'XX001' })
  })
})
