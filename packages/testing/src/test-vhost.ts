import { randomBytes } from 'node:crypto'
import { management } from '@cashflow/dev-stack'
import { type Addresses, addresses, withDatabase } from './addresses.ts'

type Broker = Pick<Addresses, 'amqpUrl' | 'managementUrl'>

export type TestVhost = Awaited<ReturnType<typeof createTestVhost>>

/** Creates a vhost for one test, by default on the run's broker. */
export async function createTestVhost({ amqpUrl, managementUrl }: Broker = addresses()) {
  const name = `test-${randomBytes(6).toString('hex')}`
  const api = management(managementUrl)
  const { request } = api
  const create = async () => {
    await request('PUT', `/vhosts/${name}`)
    const login = decodeURIComponent(new URL(amqpUrl).username)
    await request('PUT', `/permissions/${name}/${login}`, { configure: '.*', write: '.*', read: '.*' })
  }
  await create()
  return {
    url: withDatabase(amqpUrl, name),
    name,
    management: api,
    /** Creates the vhost again on a broker that has lost it. */
    create,
    drop: async (): Promise<void> => void (await request('DELETE', `/vhosts/${name}`)),
  }
}
