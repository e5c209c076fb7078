import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  eventually,
  nullLogger,
  type PrivatePostgres,
  query,
  REPOSITORY,
  startPrivatePostgres,
} from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createDatabase, databaseComponent } from '../../src/index.ts'
import { DatabaseSettingError } from '../../src/postgres/errors.ts'

/** A self-signed certificate for 127.0.0.1. */
const CERTIFICATE = join(REPOSITORY, 'services/worker/test/certificate/certificate.pem')
const KEY = join(REPOSITORY, 'services/worker/test/certificate/key.pem')

describe('TLS to PostgreSQL', () => {
  let server: PrivatePostgres
  const warnings: string[] = []
  const record = (warning: Error) => void warnings.push(warning.message)
  before(async () => {
    process.on('warning', record)
    server = await startPrivatePostgres()
    // The server writes the files, because they have to belong to its user.
    for (const [name, file] of Object.entries({ 'server.crt': CERTIFICATE, 'server.key': KEY }))
      await query(
        server.url,
        `copy (select '${readFileSync(file).toString('base64')}') to program 'umask 077; base64 -d > ${name}'`,
      )
    await query(server.url, 'alter system set ssl = on')
    await query(server.url, 'select pg_reload_conf()')
    await eventually(async () => expect(await query(server.url, 'show ssl')).to.deep.equal([{ ssl: 'on' }]))
  }).timeout(180_000)
  after(async () => {
    process.off('warning', record)
    await server.stop()
  })

  /** @returns whether the session is encrypted, or the error of a session that cannot be opened */
  async function encrypted(parameters: Record<string, string>): Promise<unknown> {
    const url = `${server.url}?${new URLSearchParams(parameters)}`
    const db = createDatabase({ url, applicationName: 'test', poolMax: 1, logger: nullLogger })
    const look = sql<{ ssl: boolean }>`select ssl from pg_stat_ssl where pid = pg_backend_pid()`.execute(db)
    return look
      .then(({ rows }) => rows[0]?.ssl)
      .catch(String)
      .finally(() => db.destroy())
  }

  for (const sslmode of ['prefer', 'require', 'verify-ca', 'verify-full'])
    it(`db: verifies PostgreSQL's certificate with sslmode=${sslmode}, without a warning of pg`, async () => {
      expect(await encrypted({ sslmode })).to.match(/self-signed certificate/)
      expect(await encrypted({ sslmode, sslrootcert: CERTIFICATE })).to.equal(true)
      // Node emits warnings in a later turn of the event loop.
      await new Promise(setImmediate)
      expect(warnings).to.deep.equal([])
    })

  it('db: encrypts without verifying the certificate if the operator asks for it', async () => {
    expect(await encrypted({ sslmode: 'no-verify' })).to.equal(true)
    expect(await encrypted({ sslmode: 'require', uselibpqcompat: 'true' })).to.equal(true)
    expect(await encrypted({ sslmode: 'disable' })).to.equal(false)
  })

  it('db: refuses to start if a file that DATABASE_URL names is missing, and names both', async () => {
    const url = `${server.url}?sslmode=require&sslrootcert=/nowhere/root.pem`
    const db = createDatabase({ url, applicationName: 'test', poolMax: 1, logger: nullLogger })
    const started = await databaseComponent(db, nullLogger)
      .start(new AbortController().signal)
      .catch((error: unknown) => error)
    expect(started).to.be.instanceOf(DatabaseSettingError)
    expect(String(started)).to.include('DATABASE_URL').and.include('/nowhere/root.pem')
    await db.destroy()
  })
})
