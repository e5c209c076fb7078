import { randomBytes } from 'node:crypto'
import { type Management, management } from '@cashflow/dev-stack'
import { type Addresses, addresses } from './addresses.ts'

type Broker = Pick<Addresses, 'amqpUrl' | 'managementUrl'>

export interface TestVhost {
  /** `amqp://` URL of the vhost. */
  url: string
  name: string
  management: Management
  /** Creates the vhost again on a broker that has lost it. */
  create(): Promise<void>
  drop(): Promise<void>
}

/** Creates a vhost for one test, by default on the run's broker. */
export async function createTestVhost(broker: Broker = addresses()): Promise<TestVhost> {
  const name = `test-${randomBytes(6).toString('hex')}`
  const { amqpUrl, managementUrl } = broker
  const api = management(managementUrl)
  const { request } = api
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
    management: api,
    create,
    drop: async () => void (await request('DELETE', `/vhosts/${name}`)),
  }
}
