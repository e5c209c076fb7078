import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openClient, type PostgresServer, startPostgres } from '@cashflow/dev-stack'
import { expect } from 'chai'
import { REPOSITORY } from '../src/repository.ts'
import { startService } from '../src/service-process.ts'
import { createMigrated } from '../src/test-database.ts'

const PASSWORD = `%41@:/#?&=+ ,'"ß日😀\\;!()*[]{}|^~\`<>$`
const LOGIN = `${encodeURIComponent('mé@server')}:${encodeURIComponent(PASSWORD)}`
const PARTS = { DB_USER: 'mé@server', DB_PASSWORD: PASSWORD, DB_NAME: 'pay/ments %41' }
const NAME = 'pay%2Fments%20%2541'
/** On a machine without IPv6, only IPv4 addresses are tested. */
const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

describe('address of PostgreSQL', () => {
  let dir: string
  let postgres: PostgresServer
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cashflow-addresses-'))
    await chmod(dir, 0o777)
    const listen_addresses = hasIpv6 ? '127.0.0.1,::1' : '127.0.0.1'
    postgres = await startPostgres({
      dir: join(dir, 'pg'),
      settings: { listen_addresses, unix_socket_directories: dir },
    })
    await createMigrated(postgres.url, 'payments')
    const client = await openClient(postgres.url)
    await client.query(`create role "mé@server" superuser login password ${client.escapeLiteral(PASSWORD)}`)
    await client.query(`alter database payments rename to "${PARTS.DB_NAME}"`)
    await client.end()
  })
  after(async () => {
    await postgres.stop()
    await rm(dir, { recursive: true, force: true })
  })

  type Settings = (port: number, socket: string) => Record<string, string>
  const forms: Record<string, Settings> = {
    'a host with its port in DB_HOST': (port) => ({ ...PARTS, DB_HOST: `127.0.0.1:${port}` }),
    'a Unix socket in DB_HOST': (port, socket) => ({ ...PARTS, DB_HOST: socket, DB_PORT: `${port}` }),
    'a Unix socket in the query of DATABASE_URL': (port, socket) => ({
      DATABASE_URL: `postgres://${LOGIN}@/${NAME}?host=${socket}&port=${port}`,
    }),
    'a Unix socket as the host of DATABASE_URL': (port, socket) => ({
      DATABASE_URL: `postgresql://${LOGIN}@${encodeURIComponent(socket)}:${port}/${NAME}`,
    }),
    'a DATABASE_URL that ends with a line break': (port) => ({
      DATABASE_URL: `postgres://${LOGIN}@127.0.0.1:${port}/${NAME}?sslmode=disable\n`,
    }),
  }
  const ipv6Forms: Record<string, Settings> = {
    '::1 in DB_HOST': (port) => ({ ...PARTS, DB_HOST: '::1', DB_PORT: `${port}` }),
    '[::1]:port in DB_HOST': (port) => ({ ...PARTS, DB_HOST: `[::1]:${port}` }),
    '[::1]:port in DATABASE_URL': (port) => ({ DATABASE_URL: `postgres://${LOGIN}@[::1]:${port}/${NAME}` }),
  }

  for (const [form, settings] of Object.entries({ ...forms, ...(hasIpv6 ? ipv6Forms : {}) })) {
    // Promise 64
    it(`accepts the address of PostgreSQL as ${form}, with any characters in user, password and database name`, async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [join(REPOSITORY, 'db/src/migrate-main.ts')], {
        env: { APP_ENV: 'production', SANDBOX: 'yes', ...settings(postgres.port, dir) },
      })
      expect(stdout).to.include('schema is up to date')
    })
  }
})

describe('service with an invalid address', () => {
  for (const [role, env, line] of [
    ['api', { DB_HOST: 'fe80::1%eth0' }, /^ {2}DB_HOST: must not name an IPv6 address with a zone/],
    ['api', { HOST: '127.0.0.1:8080' }, /^ {2}HOST: must be an address of this machine without a port/],
    ['relay', { DATABASE_URL: 'postgres://u:hunter2%@h/db' }, /^ {2}DATABASE_URL: must percent-encode/],
    ['relay', { RABBITMQ_URL: 'amqp://guest:hunter2%@127.0.0.1:5672/' }, /^ {2}RABBITMQ_URL: must percent-encode/],
    ['worker', { MQ_HOST: 'mq:hunter2' }, /^ {2}MQ_HOST: must have hosts such as/],
    ['api', { PROVIDER: '' }, /^ {2}PROVIDER: must be http or simulated, and has no default/],
    ['worker', { PROVIDER: '' }, /^ {2}PROVIDER: must be http or simulated, and has no default/],
  ] as const) {
    // Promise 64
    it(`${role} does not start with an invalid address, and names ${Object.keys(env)} in one line without a stack trace`, async () => {
      const service = startService(role, env)
      expect(await service.exited).to.equal(1)
      expect(service.output).to.have.length(2)
      expect(service.output[1]).to.match(line).and.not.to.include('hunter2')
    })
  }
})
