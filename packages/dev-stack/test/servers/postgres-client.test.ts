import { eventually } from '@cashflow/async'
import { expect } from 'chai'
import type { Client, Pool } from 'pg'
import { openClient, openPool, type PostgresServer, query, startPostgres } from '../../src/index.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

describe('PostgreSQL client', () => {
  const folder = temporaryFolder()
  let server: PostgresServer
  let client: Client
  let pool: Pool
  before(async () => {
    server = await startPostgres({ dir: folder.path })
    client = await openClient(server.url)
    pool = openPool(server.url, { max: 2 })
  })
  after(async () => {
    await Promise.all([client.end(), pool.end()])
    await server.stop()
    folder.remove()
  })

  it('runs one statement, and returns its rows', async () => {
    expect(await query(server.url, 'select $1::int + 1 as next', { values: [1] })).to.deep.equal([{ next: 2 }])
  })

  // An error event without a listener fails the running test, as it ends any other process.
  it('PostgreSQL client does not end this process when the server crashes: idle, during a statement, or taken from a pool', async () => {
    const taken = await pool.connect()
    let ended = 0
    for (const each of [client, taken]) each.on('end', () => ended++)
    const running = query(server.url, 'select pg_sleep(60)').then(
      () => 'answered',
      () => 'rejected',
    )
    await eventually(async () => {
      const { rows } = await client.query("select from pg_stat_activity where wait_event = 'PgSleep'")
      expect(rows).to.have.length(1)
    })
    process.kill(server.pid, 'SIGQUIT')
    expect(await running).to.equal('rejected')
    await eventually(() => expect(ended).to.equal(2))
    taken.release(true)
  })
})
