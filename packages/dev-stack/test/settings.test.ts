import { ConfigError } from '@cashflow/runtime'
import { expect } from 'chai'
import { stackSettings } from '../src/settings.ts'

describe('the settings of npm start', () => {
  it('settings of npm start name no server by default', () => {
    const settings = stackSettings({})
    expect(settings.given).to.deep.equal({})
    expect(settings).to.include({ databaseName: 'payments', host: '127.0.0.1', port: 8080, portIsGiven: false })
  })

  it('accepts the servers’ URLs', () => {
    const given = { DATABASE_URL: 'postgres://u:p@db:1/x?sslmode=disable', RABBITMQ_URL: 'amqp://a, amqp://b' }
    expect(stackSettings(given).given).to.deep.equal({
      databaseUrl: given.DATABASE_URL,
      rabbitmqUrl: 'amqp://a/,amqp://b/',
    })
  })

  it('accepts a server’s host, port, user and password', () => {
    const { given } = stackSettings({ DB_HOST: 'db', DB_PASSWORD: 'p@ss', MQ_HOST: 'mq', MQ_PORT: '5673' })
    expect(given.databaseUrl).to.equal('postgres://postgres:p%40ss@db:5432/payments')
    expect(given.rabbitmqUrl).to.equal('amqp://guest:guest@mq:5673/')
  })

  it('settings of npm start may name one server without the other', () => {
    expect(stackSettings({ MQ_HOST: 'mq' }).given).to.have.all.keys('rabbitmqUrl')
  })

  it('accepts PORT=0, which is any free port, as the api does', () => {
    expect(stackSettings({ PORT: '0' })).to.include({ port: 0, portIsGiven: true })
  })

  it('the console of npm start prefers port 8090, another one that is set, and with PORT=0 any free one', () => {
    const portOf = (env: Record<string, string>) => stackSettings(env).consolePort
    expect(portOf({})).to.equal(8090)
    expect(portOf({ CONSOLE_PORT: '9000' })).to.equal(9000)
    expect(portOf({ PORT: '0' })).to.equal(0)
    expect(portOf({ PORT: '0', CONSOLE_PORT: '9000' })).to.equal(9000)
  })

  it('rejects settings of npm start with the names of all invalid variables', () => {
    expect(() => stackSettings({ PORT: 'http', LOG_LEVEL: 'loud' })).to.throw(
      ConfigError,
      /PORT.*LOG_LEVEL|LOG_LEVEL.*PORT/s,
    )
  })
})
