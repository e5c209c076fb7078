import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import * as z from 'zod'
import { withSecrets } from '../src/env.ts'
import {
  brokerEnv,
  brokerUrls,
  ConfigError,
  databaseEnv,
  databaseUrl,
  exchangeName,
  integer,
  isSandbox,
  parseEnv,
  SECRETS,
} from '../src/index.ts'

const schema = z.object({ ...databaseEnv, ...brokerEnv, PORT: integer({ min: 0, max: 65_535, default: 8080 }) })

function refused(env: Record<string, string>): string {
  try {
    parseEnv(schema, env)
  } catch (error) {
    expect(error).to.be.instanceOf(ConfigError)
    return (error as ConfigError).message
  }
  throw new Error('was accepted')
}

describe('settings', () => {
  it('rejects certificates in production that cannot be read, such as the folder that Docker makes for a missing file', () => {
    const runtime = join(import.meta.dirname, '../src/index.ts')
    const program = `import { loadConfig } from ${JSON.stringify(runtime)}; loadConfig(() => ({}))`
    const load = (file: string) => {
      const env = { APP_ENV: 'production', NODE_EXTRA_CA_CERTS: file }
      return spawnSync(process.execPath, ['--input-type=module', '--eval', program], { env, encoding: 'utf8' })
    }
    const refused = load(import.meta.dirname)
    expect(refused).to.include({ status: 1 })
    expect(refused.stderr).to.contain('NODE_EXTRA_CA_CERTS: must name a file that can be read: EISDIR')
    expect(load(join(import.meta.dirname, '../../../deploy/extra-ca.pem'))).to.include({ status: 0, stderr: '' })
  })

  it('settings have defaults that reach a local PostgreSQL and RabbitMQ', () => {
    const settings = parseEnv(schema, {})
    expect(databaseUrl(settings)).to.equal('postgres://postgres:postgres@localhost:5432/payments')
    expect(brokerUrls(settings)).to.deep.equal(['amqp://guest:guest@localhost:5672/'])
    expect(settings.PORT).to.equal(8080)
  })

  it('gives the exchange the queue’s name by default', () => {
    expect(exchangeName(parseEnv(schema, {}))).to.equal('payments')
    expect(exchangeName(parseEnv(schema, { MQ_QUEUE: 'orders', MQ_EXCHANGE: '' }))).to.equal('orders')
    expect(exchangeName(parseEnv(schema, { MQ_QUEUE: 'orders', MQ_EXCHANGE: 'events' }))).to.equal('events')
  })

  it('rejects names of queues and exchanges that RabbitMQ reserves, or that dead letters use', () => {
    for (const name of ['MQ_QUEUE', 'MQ_EXCHANGE']) {
      for (const value of ['amq.topic', 'amq.', 'payments.dead', ' ', 'x'.repeat(201)])
        expect(refused({ [name]: value }), value).to.include(`${name}: must `)
    }
  })

  it('freezes the settings', () => {
    expect(parseEnv(schema, {})).to.be.frozen
  })

  it('accepts addresses in parts, and encodes them', () => {
    const settings = parseEnv(schema, {
      DB_HOST: 'db',
      DB_USER: 'me',
      DB_PASSWORD: 'p@ss/word',
      DB_NAME: 'cashflow',
      MQ_HOST: 'mq',
      MQ_PASSWORD: 'a:b',
    })
    expect(databaseUrl(settings)).to.equal('postgres://me:p%40ss%2Fword@db:5432/cashflow')
    expect(brokerUrls(settings)).to.deep.equal(['amqp://guest:a%3Ab@mq:5672/'])
  })

  it('accepts a URL without a change, and a list of URLs', () => {
    const url = 'postgres://postgres:postgres@localhost:5432/payments?sslmode=disable'
    const settings = parseEnv(schema, { DATABASE_URL: url, DB_HOST: 'ignored', RABBITMQ_URL: 'amqp://a/, amqp://b/v' })
    expect(databaseUrl(settings)).to.equal(url)
    expect(brokerUrls(settings)).to.deep.equal(['amqp://a/', 'amqp://b/v'])
  })

  it('ignores line breaks at the end of a value, which a file with a secret often has', () => {
    const settings = parseEnv(schema, { DB_PASSWORD: ' secret \r\n', PORT: '80\n' })
    expect(settings).to.include({ DB_PASSWORD: ' secret ', PORT: 80 })
  })

  it('rejects settings by name if a value is not UTF-8, for which Node has U+FFFD', () => {
    expect(refused({ DB_PASSWORD: 'hunter2\ufffd', MQ_USER: '\ufffd' })).to.equal(
      'These settings are not usable:\n  DB_PASSWORD: must be a text in UTF-8\n  MQ_USER: must be a text in UTF-8',
    )
  })

  it('counts empty settings as unset', () => {
    expect(parseEnv(schema, { PORT: '', DATABASE_URL: '' }).PORT).to.equal(8080)
  })

  it('rejects settings with one message that names every invalid one and shows no value', () => {
    const message = refused({
      PORT: 'http',
      DATABASE_URL: 'mysql://u:hunter2@h/d',
      RABBITMQ_URL: 'hunter3',
      DB_PORT: '70000',
    })
    expect(message).to.match(/PORT: must be a whole number/)
    for (const name of ['DATABASE_URL', 'RABBITMQ_URL', 'DB_PORT']) expect(message.split(name)).to.have.length(2)
    expect(message).to.not.match(/hunter/)
  })

  for (const bad of ['-1', '1.5', '1e3', '0x10', ' ', '65536', '٣', 'NaN']) {
    it(`rejects ${JSON.stringify(bad)} as a port`, () => {
      expect(refused({ PORT: bad })).to.include('PORT')
    })
  }
})

describe('secrets from files', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'cashflow-test-'))
  })
  after(() => rmSync(folder, { recursive: true }))

  function fileOf(content: string | Buffer): string {
    const file = join(folder, randomUUID())
    writeFileSync(file, content)
    return file
  }

  // Promise 110
  it('settings take each secret from the file that NAME_FILE names, without a line break at its end', () => {
    for (const name of SECRETS)
      for (const text of ['p@ss wörd', 'p@ss wörd\n', 'p@ss wörd\r\n'])
        expect(withSecrets({ [`${name}_FILE`]: fileOf(text) })[name]).to.equal('p@ss wörd')
    expect(withSecrets({ DB_PASSWORD: 'x', DB_PASSWORD_FILE: '' })).to.include({ DB_PASSWORD: 'x' })
  })

  // Promise 110
  it('settings name each file of a secret that cannot be used, and show nothing of it', () => {
    const env = {
      DATABASE_URL_FILE: fileOf('\n'),
      DB_PASSWORD: 'hunter2',
      DB_PASSWORD_FILE: fileOf('hunter2'),
      KEY_PEPPER_FILE: fileOf(Buffer.from([0x68, 0x75, 0xff])),
      MQ_PASSWORD_FILE: join(folder, 'missing'),
      PROVIDER_TOKEN_FILE: folder,
      RABBITMQ_URL_FILE: 'amqp://u:hunter2@h/',
    }
    expect(() => withSecrets(env)).to.throw(
      ConfigError,
      [
        'These settings are not usable:',
        `DATABASE_URL_FILE: must name a file that is not empty`,
        'DB_PASSWORD_FILE: must not be set together with DB_PASSWORD',
        'RABBITMQ_URL_FILE: must name a file that can be read: ENOENT',
        'MQ_PASSWORD_FILE: must name a file that can be read: ENOENT',
        'PROVIDER_TOKEN_FILE: must name a file that can be read: it is not a file',
        'KEY_PEPPER_FILE: must name a text in UTF-8',
      ].join('\n  '),
    )
  })

  it('a process does not start with PGSSLMODE, which is not read, unless the mode is given as a setting too', () => {
    const runtime = join(import.meta.dirname, '../src/index.ts')
    const program = `import { loadConfig } from ${JSON.stringify(runtime)}; loadConfig(() => {})`
    const run = (env: Record<string, string>) =>
      spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
        env: { PGSSLMODE: 'verify-full', APP_ENV: 'production', ...env },
        encoding: 'utf8',
      })
    expect(run({}).stderr).to.equal(
      'These settings are not usable:\n  PGSSLMODE: is not read. Set DB_SSLMODE instead\n',
    )
    expect(run({ DB_SSLMODE: 'verify-full' }).status).to.equal(0)
    expect(run({ DATABASE_URL: 'postgres://h/db?sslmode=require' }).status).to.equal(0)
  })

  it('settings from files reach the parser, and not the environment of child processes', () => {
    const runtime = join(import.meta.dirname, '../src/index.ts')
    const program = `import { loadConfig } from ${JSON.stringify(runtime)}
      process.stdout.write(JSON.stringify(loadConfig((env) => [env.DB_PASSWORD, process.env.DB_PASSWORD ?? null])))`
    const env = { DB_PASSWORD_FILE: fileOf('hunter2\n'), APP_ENV: 'production' }
    const ended = spawnSync(process.execPath, ['--input-type=module', '--eval', program], { env, encoding: 'utf8' })
    expect(ended).to.include({ status: 0, stdout: '["hunter2",null]' })
  })
})

describe('isSandbox', () => {
  it('is true without SANDBOX, except in production', () => {
    expect(isSandbox({}, {})).to.equal(true)
    expect(isSandbox({}, { APP_ENV: 'staging' })).to.equal(true)
    expect(isSandbox({}, { APP_ENV: 'production' })).to.equal(false)
    expect(() => isSandbox({}, { APP_ENV: 'prod' })).to.throw(ConfigError, 'APP_ENV')
  })

  it('is what SANDBOX says, also in production', () => {
    for (const env of [{}, { APP_ENV: 'production' }])
      expect([isSandbox({ SANDBOX: 'yes' }, env), isSandbox({ SANDBOX: 'no' }, env)]).to.deep.equal([true, false])
  })
})
