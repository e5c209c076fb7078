import { expect } from 'chai'
import * as z from 'zod'
import { brokerEnv, brokerUrls, type ConfigError, parseEnv } from '../src/index.ts'

const urls = (env: Record<string, string>) => brokerUrls(parseEnv(z.object(brokerEnv), env))

function refusal(env: Record<string, string>): string {
  try {
    return `taken as ${urls(env)}`
  } catch (error) {
    return (error as ConfigError).message
  }
}

describe('address of RabbitMQ', () => {
  for (const [MQ_HOST, ...places] of [
    ['mq', 'mq:5672'],
    ['mq:5673', 'mq:5673'],
    ['::1', '[::1]:5672'],
    ['[::1]', '[::1]:5672'],
    ['[::1]:5673', '[::1]:5673'],
    ['a, b:5673', 'a:5672', 'b:5673'],
  ] as const) {
    it(`reads the address of RabbitMQ from MQ_HOST=${JSON.stringify(MQ_HOST)}`, () => {
      expect(urls({ MQ_HOST })).to.deep.equal(places.map((place) => `amqp://guest:guest@${place}/`))
    })
  }

  for (const [given, ...own] of [
    ['amqp://h', 'amqp://h/'],
    ['amqp://h/', 'amqp://h/'],
    ['amqp://h/%2F', 'amqp://h/%2F'],
    ['amqp://h//', 'amqp://h/%2F'],
    ['amqp://h/orders', 'amqp://h/orders'],
    ['amqp://h/a/b', 'amqp://h/a%2Fb'],
    ['AMQPS://u:p@[::1]:5671/v\n', 'amqps://u:p@[::1]:5671/v'],
    ['amqps://u:p@a:1/v, AMQPS://u:p@b/v', 'amqps://u:p@a:1/v', 'amqps://u:p@b/v'],
    ['amqp://u:p@a:1,b:2/v', 'amqp://u:p@a:1/v', 'amqp://u:p@b:2/v'],
    ['amqp://u:p,q:r@h/', 'amqp://u:p%2Cq%3Ar@h/'],
    ['amqp://u:a%25b%2F%3F%23@h/?heartbeat=20', 'amqp://u:a%25b%2F%3F%23@h/?heartbeat=20'],
  ] as const) {
    it(`reads the address of RabbitMQ from RABBITMQ_URL=${JSON.stringify(given)}`, () => {
      expect(urls({ RABBITMQ_URL: given })).to.deep.equal(own)
      expect(urls({ RABBITMQ_URL: own.join(',') })).to.deep.equal(own)
    })
  }

  for (const [env, reason] of [
    [{ MQ_HOST: 'mq:port' }, /MQ_HOST: must have hosts such as/],
    [{ MQ_HOST: '/var/run/rabbitmq' }, /MQ_HOST: must not name a Unix socket/],
    [{ MQ_HOST: 'fe80::1%eth0' }, /MQ_HOST: must not name an IPv6 address with a zone/],
    [{ MQ_PORT: 'tcp://10.0.0.1:5672' }, /MQ_PORT: must be a port/],
    [{ RABBITMQ_URL: 'hunter2' }, /RABBITMQ_URL: must begin with amqp:\/\/ or amqps:\/\//],
    [{ RABBITMQ_URL: "'amqp://u:hunter2@h/'" }, /RABBITMQ_URL: must not have quotes/],
    [{ RABBITMQ_URL: 'amqp://guest:hunter2%@127.0.0.1:5672/' }, /RABBITMQ_URL: must percent-encode/],
    [{ RABBITMQ_URL: 'amqp://guest:hunter2/x@h/' }, /RABBITMQ_URL: .*must percent-encode/],
    [{ RABBITMQ_URL: 'amqp://hunter2:12#x@h/' }, /RABBITMQ_URL: must percent-encode/],
    [{ RABBITMQ_URL: 'amqp://h/100%' }, /RABBITMQ_URL: must percent-encode/],
    [{ RABBITMQ_URL: 'amqp://a/v,b/v' }, /RABBITMQ_URL: must be URLs separated by commas/],
    [{ RABBITMQ_URL: 'amqp://a,' }, /RABBITMQ_URL: must have hosts such as/],
    [{ RABBITMQ_URL: 'amqp://a/,' }, /RABBITMQ_URL: must be URLs separated by commas/],
    [{ RABBITMQ_URL: 'amqp://a/, http://b/' }, /RABBITMQ_URL: must begin with amqp/],
    [{ RABBITMQ_URL: 'amqp://h:70000/' }, /RABBITMQ_URL: must have ports from 1 to 65535/],
    [{ RABBITMQ_URL: 'amqp://h/?heartbeat=0' }, /RABBITMQ_URL: must have a heartbeat of 1 to 600 seconds/],
    [{ RABBITMQ_URL: 'amqp://h/?heartbeat=none' }, /RABBITMQ_URL: must have a heartbeat/],
    [{ RABBITMQ_URL: 'amqps://a, amqp://b' }, /RABBITMQ_URL: must not have both amqp:\/\/ and amqps:\/\//],
    [{ RABBITMQ_URL: 'amqps://h/?verify=verify_none' }, /RABBITMQ_URL: must not have verify: .*MQ_TLS_CA/],
    [{ RABBITMQ_URL: 'amqp://h/?frameMax=big' }, /RABBITMQ_URL: must have a whole number as frameMax/],
  ] as const) {
    it(`rejects an address of RabbitMQ in one line, by name and without its value: ${JSON.stringify(env)}`, () => {
      const message = refusal(env as Record<string, string>)
      expect(message)
        .to.match(reason)
        .and.not.to.match(/hunter2/)
      expect(message.split('\n')).to.have.length(2)
    })
  }

  it('address of RabbitMQ may have any character in the password', () => {
    const MQ_PASSWORD = `%41@:/#?&=+ ,'"ß日😀\\;!()*[]{}|^~\`<>$`
    const [only = ''] = urls({ MQ_HOST: 'h', MQ_PASSWORD })
    expect(decodeURIComponent(new URL(only).password)).to.equal(MQ_PASSWORD)
  })
})
