import { copyFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import {
  createAuthority,
  createTestDatabase,
  eventually,
  type IssuedFiles,
  nullLogger,
  openSocket,
  recordingLogger,
} from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { databaseComponent, isTransient, refusedSettings } from '../../src/index.ts'
import { DatabaseSettingError } from '../../src/postgres/errors.ts'
import { startTlsRig, type TlsRig } from './tls-rig.ts'

describe('TLS to PostgreSQL', () => {
  let rig: TlsRig
  const warnings: string[] = []
  const record = (warning: Error) => void warnings.push(warning.message)
  before(async () => {
    process.on('warning', record)
    rig = await startTlsRig()
  }).timeout(180_000)
  after(async () => {
    process.off('warning', record)
    await rig.stop()
  })

  function expectRefused(error: Error, { message, settings }: { message: RegExp; settings: string }): void {
    expect(error.message).to.match(message).and.not.include('\n')
    expect(refusedSettings(error)).to.equal(settings)
    expect(isTransient(error), 'transient').to.equal(true)
  }

  // Promise 109
  it('db: verifies the authority and the host name with sslmode=verify-full, without a warning of pg', async () => {
    const verified = { sslmode: 'verify-full', sslrootcert: rig.authority.ca }
    expect(await rig.isEncrypted(verified)).to.equal(true)
    const byName = rig.urlWith(verified, (url) => {
      url.hostname = 'localhost'
    })
    expect((await rig.session(byName)).ssl).to.equal(true)
    expectRefused(await rig.refusal(rig.urlWith({ ...verified, sslrootcert: rig.other.ca })), {
      message: /^PostgreSQL's certificate is not of a trusted authority: /,
      settings: 'DB_SSLROOTCERT',
    })
    await rig.serving(await rig.authority.issue('named', { names: ['db.example'] }), async () => {
      expectRefused(await rig.refusal(rig.urlWith(verified)), {
        message: /^PostgreSQL's certificate has another name: IP: 127\.0\.0\.1 is not in the cert's list/,
        settings: 'DATABASE_URL, or DB_HOST and DB_SSLMODE',
      })
      expect(await rig.isEncrypted({ ...verified, sslmode: 'verify-ca' })).to.equal(true)
    })
    // Of several hosts, each one is verified by its own name.
    await rig.serving(await rig.authority.issue('one', { names: ['127.0.0.1'] }), async () => {
      const { port } = new URL(rig.url)
      const hosts = { host: 'localhost,127.0.0.1', port: `${port},${port}` }
      expect(await rig.isEncrypted({ ...verified, ...hosts })).to.equal(true)
      expect((await rig.refusal(byName)).message).to.match(/^PostgreSQL's certificate has another name: /)
    })
    // Node emits warnings in a later turn of the event loop.
    await new Promise(setImmediate)
    expect(warnings).to.deep.equal([])
  })

  // Promise 109
  it('db: verifies the authority, but not the host name, with sslmode=verify-ca, and with require and an authority', async () => {
    for (const sslmode of ['verify-ca', 'require']) {
      expect(await rig.isEncrypted({ sslmode, sslrootcert: rig.authority.ca })).to.equal(true)
      expectRefused(await rig.refusal(rig.urlWith({ sslmode, sslrootcert: rig.other.ca })), {
        message: /not of a trusted authority/,
        settings: 'DB_SSLROOTCERT',
      })
    }
  })

  it('db: verifies by the authorities that Node trusts if none is named', async () => {
    for (const parameters of [{ sslmode: 'verify-full' }, { ssl: 'true' }, { sslrootcert: 'system' }])
      expect((await rig.refusal(rig.urlWith(parameters))).message).to.match(/not of a trusted authority/)
  })

  // Promise 109
  it('db: encrypts and does not verify with sslmode=require, and the log says so once', async () => {
    const { logger, lines } = recordingLogger()
    const db = rig.open(rig.urlWith({ sslmode: 'require' }), logger)
    await Promise.all([1, 2, 3].map(() => sql`select pg_sleep(0.05)`.execute(db)))
    const found = await sql<{ ssl: boolean }>`select ssl from pg_stat_ssl where pid = pg_backend_pid()`.execute(db)
    expect(found.rows).to.deep.equal([{ ssl: true }])
    expect(lines.filter(({ message }) => /certificate is not verified/.test(message))).to.have.length(1)
    await db.destroy()
    expect(await rig.isEncrypted({ sslmode: 'no-verify' })).to.equal(true)
    expect(await rig.isEncrypted({ sslmode: 'require', uselibpqcompat: 'true' })).to.equal(true)
    expect(await rig.isEncrypted({ sslmode: 'disable' })).to.equal(false)
    expect(await rig.isEncrypted({})).to.equal(false)
  })

  it('db: begins TLS at once with sslnegotiation=direct', async () => {
    const direct = { sslmode: 'verify-full', sslrootcert: rig.authority.ca, sslnegotiation: 'direct' }
    expect(await rig.isEncrypted(direct)).to.equal(true)
    expect((await rig.refusal(rig.urlWith({ ...direct, sslrootcert: rig.other.ca }))).message).to.match(
      /trusted authority/,
    )
  })

  // Promise 109
  it('db: waits at the start while the certificate has expired, names it, and starts when it is replaced', async () => {
    const { logger, linesOf } = recordingLogger()
    const db = rig.open(rig.urlWith({ sslmode: 'verify-full', sslrootcert: rig.authority.ca }), logger)
    const expired = await rig.authority.issue('expired', { notAfter: new Date(Date.now() - 1_000) })
    let started: Promise<void> | undefined
    await rig.serving(expired, async () => {
      started = databaseComponent(db, logger).start(new AbortController().signal)
      await eventually(async () => expect(linesOf('waiting for PostgreSQL')).to.have.length(1))
      expect(linesOf('waiting for PostgreSQL')[0]).to.deep.include({
        level: 'error',
        fields: {
          reason: "PostgreSQL's certificate has expired, or its authority's",
          settings: 'ssl_cert_file of PostgreSQL, and DB_SSLROOTCERT',
        },
      })
    })
    await started
    await db.destroy()
  })

  it('db: names a server without TLS, and a certificate that is not valid yet', async () => {
    const plain = await createTestDatabase()
    expectRefused(await rig.refusal(`${plain.url}?sslmode=require`), {
      message: /^PostgreSQL does not offer TLS$/,
      settings: 'DB_SSLMODE, and ssl of PostgreSQL',
    })
    await plain.drop()
    const early = await rig.authority.issue('early', { notBefore: new Date(Date.now() + 86_400_000) })
    await rig.serving(early, async () => {
      const url = rig.urlWith({ sslmode: 'verify-full', sslrootcert: rig.authority.ca })
      expect((await rig.refusal(url)).message).to.equal("PostgreSQL's certificate is not valid yet")
    })
  })

  // Promise 109
  it('db: logs in with a client certificate, and names one that is missing or not accepted', async () => {
    const client = await rig.authority.issue('client', { commonName: 'cashflow' })
    const stranger = await rig.other.issue('client', { commonName: 'cashflow' })
    const verified = { sslmode: 'verify-full', sslrootcert: rig.authority.ca }
    const { ssl, owner } = await rig.session(rig.asCashflow({ ...verified, sslcert: client.cert, sslkey: client.key }))
    expect({ ssl, owner }).to.deep.equal({ ssl: true, owner: '/CN=cashflow' })
    const without = await rig.refusal(rig.asCashflow(verified))
    expect(without.message).to.equal('connection requires a valid client certificate')
    expect(refusedSettings(without)).to.equal('DATABASE_URL, or DB_USER, DB_PASSWORD, DB_SSLMODE and DB_SSLCERT')
    expectRefused(await rig.refusal(rig.asCashflow({ ...verified, sslcert: stranger.cert, sslkey: stranger.key })), {
      message: /^PostgreSQL refuses the certificate of this process: .*unknown ca/,
      settings: 'DB_SSLCERT and DB_SSLKEY',
    })
  })

  // Promise 110
  it('db: reads certificates again for the next session when their files change, without a restart', async () => {
    const files = {
      ca: join(rig.folder, 'ca.pem'),
      cert: join(rig.folder, 'tls.pem'),
      key: join(rig.folder, 'tls.key'),
    }
    const install = (ca: string, { cert, key }: IssuedFiles) => {
      copyFileSync(ca, files.ca)
      copyFileSync(cert, files.cert)
      copyFileSync(key, files.key)
    }
    install(rig.authority.ca, await rig.authority.issue('client', { commonName: 'cashflow' }))
    const { logger, linesOf } = recordingLogger()
    const url = rig.asCashflow({
      sslmode: 'verify-full',
      sslrootcert: files.ca,
      sslcert: files.cert,
      sslkey: files.key,
    })
    const db = rig.open(url, logger)
    const look = async () => {
      const next = await db.openSession('test')
      const { rows } = await next.query(
        'select client_serial::text as serial from pg_stat_ssl where pid = pg_backend_pid()',
      )
      await next.end()
      return rows[0].serial
    }
    const first = await look()
    install(rig.authority.ca, await rig.authority.issue('client', { commonName: 'cashflow' }))
    expect(await look()).not.to.equal(first)
    expect(linesOf('new certificates in use')).to.have.length(1)
    // The authority is replaced too, on both sides.
    const next = await createAuthority(join(rig.folder, 'next'))
    await rig.serving(await next.issue('server'), async () => {
      expect(await look().catch((error: Error) => error.message)).to.match(/not of a trusted authority/)
      copyFileSync(next.ca, files.ca)
      expect(await look()).to.match(/^\d+$/)
    })
    await db.destroy()
  })

  // Promise 109
  for (const sslnegotiation of ['postgres', 'direct'])
    it(`db: encrypts the request that cancels a statement, with sslnegotiation=${sslnegotiation}`, async () => {
      const sent: Buffer[][] = []
      const proxy = createServer((socket) => {
        const bytes: Buffer[] = []
        sent.push(bytes)
        const target = openSocket(rig.url)
        socket.on('data', (chunk) => bytes.push(chunk))
        socket.on('error', () => {}).pipe(target)
        target.pipe(socket)
      }).listen(0, '127.0.0.1')
      await eventually(async () => expect(proxy.listening).to.equal(true))
      const parameters = { sslmode: 'verify-full', sslrootcert: rig.authority.ca, sslnegotiation }
      const url = rig.urlWith(parameters, (to) => {
        to.port = String((proxy.address() as AddressInfo).port)
      })
      const db = rig.open(url)
      const overdue = await db.openSession('test-overdue')
      const before = sent.length
      const running = overdue.query({
        text: 'set statement_timeout = 0; select pg_sleep(600)',
        query_timeout: 200,
      } as never)
      expect(await running.catch((error: Error) => error.message)).to.equal('Query read timeout')
      await rig.untilEnded('test-overdue')
      const canceling = Buffer.concat(sent.slice(before).flat())
      const firstByte = sslnegotiation === 'direct' ? '16' : '0000000804d2162f'
      expect(canceling.toString('hex'))
        .to.match(new RegExp(`^${firstByte}`))
        .and.not.include('04d2162e')
      await db.destroy()
      proxy.close()
    })

  it('db: refuses to start if a file that DATABASE_URL names is missing, and names both', async () => {
    const db = rig.open(rig.urlWith({ sslmode: 'require', sslrootcert: '/nowhere/root.pem' }))
    const started = await databaseComponent(db, nullLogger)
      .start(new AbortController().signal)
      .catch((error: unknown) => error)
    expect(started).to.be.instanceOf(DatabaseSettingError)
    expect(String(started)).to.include('DATABASE_URL').and.include('/nowhere/root.pem')
    await db.destroy()
  })
})
