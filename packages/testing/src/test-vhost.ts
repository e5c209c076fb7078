import { randomBytes } from 'node:crypto'
import { type Addresses, addresses } from './addresses.ts'

type Broker = Pick<Addresses, 'amqpUrl' | 'managementUrl'>
type Call = [method: string, path: string, body?: unknown]

export interface TestVhost {
  /** `amqp://` URL of the vhost. */
  url: string
  name: string
  management: {
    /** With login. */
    url: string
    /** A call of the management API, such as `('GET', '/queues/%2F/payments')`; the answer is parsed JSON. */
    request(method: string, path: string, body?: unknown): Promise<unknown>
  }
  /** Makes it again on a broker that has forgotten it. */
  create(): Promise<void>
  drop(): Promise<void>
}

/** A vhost of one's own, on the run's broker unless another is given. */
export async function createTestVhost(broker: Broker = addresses()): Promise<TestVhost> {
  const name = `test-${randomBytes(6).toString('hex')}`
  const { amqpUrl, managementUrl } = broker
  const request = (...call: Call) => callManagement(managementUrl, ...call)
  const create = async () => {
    await request('PUT', `/vhosts/${name}`)
    const login = decodeURIComponent(new URL(amqpUrl).username)
    await request('PUT', `/permissions/${name}/${login}`, { configure: '.*', write: '.*', read: '.*' })
  }
  await create()
  const url = new URL(amqpUrl)
  url.pathname = `/${name}`
  return {
    url: url.href,
    name,
    management: { url: managementUrl, request },
    create,
    drop: async () => void (await request('DELETE', `/vhosts/${name}`)),
  }
}

async function callManagement(url: string, ...[method, path, body]: Call): Promise<unknown> {
  const { username, password, origin } = new URL(url)
  const response = await fetch(`${origin}/api${path}`, {
    method,
    headers: {
      authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
      'content-type': 'application/json',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
  return text ? JSON.parse(text) : undefined
}
