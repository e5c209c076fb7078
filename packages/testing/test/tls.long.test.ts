import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '@cashflow/async'
import { expect } from 'chai'
import { createAuthority } from '../src/certificates.ts'
import { type Pipeline, startPipeline } from '../src/pipeline.ts'
import { startTlsPostgres, type TlsPostgres } from '../src/tls-postgres.ts'

describe('pipeline with TLS to PostgreSQL', function () {
  this.timeout(240_000)
  let folder: string
  let server: TlsPostgres
  let pipeline: Pipeline
  let trusted: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
    trusted = join(folder, 'trusted.pem')
    const authority = await createAuthority(join(folder, 'first'))
    await copyFile(authority.ca, trusted)
    server = await startTlsPostgres(await authority.issue('server'))
    const secret = join(folder, 'database-url')
    await writeFile(secret, `${server.url}\n`)
    const settings = { DATABASE_URL: '', DATABASE_URL_FILE: secret, DB_SSLMODE: 'verify-full', DB_SSLROOTCERT: trusted }
    const database = { url: server.url, drop: async () => {} }
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 1 }, settings, { database })
  })
  after(async () => {
    await pipeline.stop()
    await server.stop()
    await rm(folder, { recursive: true })
  })

  async function settles(reference: string): Promise<void> {
    await eventually(async () => expect((await pipeline.post(reference)).status).to.be.oneOf([201, 409]))
    await eventually(async () => {
      const { rows } = await pipeline.db.query('select status from payments where reference = $1', [reference])
      expect(rows[0]?.status).to.be.oneOf(['SUCCESS', 'FAILED'])
    })
  }
  const processes = () => Object.values(pipeline.processes).flat()
  // The pool of the test has no name.
  const SESSIONS = "from pg_stat_activity join pg_stat_ssl using (pid) where application_name like 'cashflow%'"

  // Promises 109, 110
  it('pipeline: encrypts every session, outlives a certificate that it does not trust, and trusts a new authority without a restart', async () => {
    await settles('first')
    const { rows } = await pipeline.db.query(
      `select count(*)::int as all, count(*) filter (where ssl)::int as ssl ${SESSIONS}`,
    )
    expect(rows[0].ssl).to.equal(rows[0].all).and.be.greaterThan(3)

    const next = await createAuthority(join(folder, 'next'))
    await server.serve(await next.issue('server'))
    await pipeline.db.query(`select pg_terminate_backend(pid) ${SESSIONS}`)
    await eventually(async () => expect((await pipeline.post('second')).status).to.equal(503))
    for (const { logs } of processes())
      await eventually(() =>
        expect(JSON.stringify(logs)).to.include("PostgreSQL's certificate is not of a trusted authority"),
      )

    await copyFile(next.ca, trusted)
    await settles('second')
    for (const { logs, exited, output } of processes()) {
      await eventually(() => expect(logs.map(({ message }) => message)).to.include('new certificates in use'))
      const ended = await Promise.race([exited, Promise.resolve('still running')])
      expect(ended, output.join('\n')).to.equal('still running')
    }
  })
})
