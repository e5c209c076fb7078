import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { createTestVhost, eventually, type TestVhost } from '@cashflow/testing'
import { expect } from 'chai'
import { cleanUp, createRig } from './rig.ts'

const OWN_ADDRESSES = Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address) ?? [])
const PASSWORD = `%41@:/#?&=+ ,'"ß日😀\\;!()*[]{}|^~\`<>$`

describe('connection to the address of a broker', () => {
  let vhost: TestVhost
  let user: string
  const grant = { configure: '.*', write: '.*', read: '.*' }
  const request = (method: string, path: string, body?: unknown) => vhost.management.request(method, path, body)

  beforeEach(async () => {
    vhost = await createTestVhost()
    user = `üser ${vhost.name}`
    await request('PUT', `/users/${encodeURIComponent(user)}`, { password: PASSWORD, tags: '' })
  })
  afterEach(async () => {
    await cleanUp()
    await request('DELETE', `/users/${encodeURIComponent(user)}`)
    await vhost.drop()
  })

  function urlOf(path: string, login = `${encodeURIComponent(user)}:${encodeURIComponent(PASSWORD)}`): string {
    return `amqp://${login}@${new URL(vhost.url).host}${path}`
  }

  /** The fields of the log line of an outage: its reason, and the settings to correct. */
  async function outageOf(url: string): Promise<{ reason?: unknown; settings?: unknown }> {
    const { logger } = createRig([url])
    await eventually(() => expect(logger.logged('waiting for RabbitMQ')).to.have.length(1))
    return logger.logged('waiting for RabbitMQ')[0]?.fields ?? {}
  }

  it('logs in with a user and a password of any characters', async () => {
    await request('PUT', `/permissions/${vhost.name}/${encodeURIComponent(user)}`, grant)
    await createRig([urlOf(`/${vhost.name}`)]).connection.whenReady()
  })

  it("logs RabbitMQ's reason and the setting to correct when the vhost is missing", async () => {
    const { reason, settings } = await outageOf(urlOf(`/${vhost.name}-missing`))
    expect(reason).to.match(new RegExp(`^Handshake terminated by server: 530 .*vhost ${vhost.name}-missing not found`))
    expect(settings).to.equal('RABBITMQ_URL, whose path is the vhost')
  })

  it("logs RabbitMQ's reason and the settings to correct when the user has no right on the vhost", async () => {
    const { reason, settings } = await outageOf(urlOf(`/${vhost.name}`))
    expect(reason).to.match(
      new RegExp(`^Handshake terminated by server: 530 .*access to vhost '${vhost.name}' refused for user '.*ser`),
    )
    expect(settings).to.equal('RABBITMQ_URL, or MQ_USER and MQ_PASSWORD')
  })

  for (const path of ['', '/', '/%2F', '//']) {
    it(`uses the vhost / when the URL has ${JSON.stringify(path)} after the host`, async () => {
      const { username, password } = new URL(vhost.url)
      const { connection } = createRig([urlOf(path, `${username}:${password}`)])
      expect((await connection.broker()).endpoint.name).to.match(/:\d+\/(\/|%2F)?$/)
      expect((await outageOf(urlOf(path))).reason).to.contain("access to vhost '/' refused")
    })
  }

  // A machine without IPv6 has only 127.0.0.1.
  for (const address of ['127.0.0.1', '::1'].filter((own) => OWN_ADDRESSES.includes(own))) {
    it(`dials ${address}`, async () => {
      const heard = Promise.withResolvers<string>()
      const server = createServer((socket) => {
        socket.on('error', () => {})
        socket.once('data', (data) => heard.resolve(data.toString('latin1')))
      })
      await once(server.listen(0, address), 'listening')
      try {
        const { port } = server.address() as AddressInfo
        const host = address.includes(':') ? `[${address}]` : address
        const { stop } = createRig([`amqp://guest:guest@${host}:${port}/`])
        expect(await heard.promise).to.match(/^AMQP/)
        await stop()
      } finally {
        server.close()
      }
    })
  }

  it('uses a vhost with a slash in its name', async () => {
    await request('PUT', `/vhosts/${vhost.name}%2Fa`)
    try {
      await request('PUT', `/permissions/${vhost.name}%2Fa/${encodeURIComponent(user)}`, grant)
      await createRig([urlOf(`/${vhost.name}%2Fa`)]).connection.whenReady()
      await createRig([urlOf(`/${vhost.name}/a`)]).connection.whenReady()
    } finally {
      await cleanUp()
      await request('DELETE', `/vhosts/${vhost.name}%2Fa`)
    }
  })
})
