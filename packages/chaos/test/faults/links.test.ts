import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { LINK_FAULTS } from '../../src/faults/links.ts'
import { type Links, startLinks } from '../../src/links.ts'
import { createRandom } from '../../src/random.ts'
import type { ServiceRole } from '../../src/service.ts'
import type { System } from '../../src/system.ts'

describe('faults of the links', () => {
  let server: Server
  let links: Links
  const clients: Socket[] = []
  before(async () => {
    server = createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    links = await startLinks(`postgres://127.0.0.1:${port}`, [`amqp://127.0.0.1:${port}`])
  })
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy()
  })
  after(async () => {
    await links.stop()
    server.close()
  })

  /** Connects to the server through a role's link. Resolves when a first answer has arrived. */
  async function connected(kind: 'database' | 'broker', role: ServiceRole): Promise<Socket> {
    const [url] = links[kind].urls(role).split(',')
    const client = connect({ port: Number(new URL(url ?? '').port), host: '127.0.0.1' }).on('error', () => {})
    clients.push(client)
    client.write('hello')
    await once(client, 'data')
    return client
  }

  /** Resolves when an answer has come, or the connection has closed. */
  const heard = (client: Socket) =>
    new Promise<void>((resolve) => {
      client.once('data', () => resolve())
      client.once('close', () => resolve())
    })

  /** Runs the fault while `act` runs. Each random choice takes the item at `place`. */
  async function during(name: string, place: number, act: () => Promise<void>) {
    const fault = LINK_FAULTS.find((each) => each.name === name)
    const random = { ...createRandom(1), pick: <Item>(items: readonly Item[]) => items.at(place) as Item }
    return await fault?.run({ links } as System, { random, say() {}, untilEnd: act })
  }

  const [API_STORES, RELAY_COMMITS, WORKER_CLAIMS] = [0, 1, 3]

  it('faults of the links lose the answer to a COMMIT, and not the answer to BEGIN', async () => {
    const client = await connected('database', 'relay')
    const begins = async () => {
      client.write('start transaction isolation level read committed\0')
      await heard(client)
    }
    expect(await during('database-in-doubt', RELAY_COMMITS, begins)).to.equal('no effect')
    const commits = async () => {
      client.write('commit\0')
      await heard(client)
    }
    expect(await during('database-in-doubt', RELAY_COMMITS, commits)).to.equal(undefined)
  })

  for (const [what, role, place, text] of [
    ['an insert', 'api', API_STORES, '0 with "given" as materialized (\0'],
    ['a claim', 'worker', WORKER_CLAIMS, '0 with "locked" as materialized (\0'],
  ] as const) {
    it(`faults of the links lose the answer to ${what}, which commits by itself`, async () => {
      const client = await connected('database', role)
      const sends = async () => {
        client.write(text)
        await heard(client)
      }
      expect(await during('database-in-doubt', place, sends)).to.equal(undefined)
    })
  }

  it('faults of the links lose the confirm of a message, and not the answer to a binding', async () => {
    const client = await connected('broker', 'relay')
    const binds = async () => {
      client.write('payment.created')
      await heard(client)
    }
    expect(await during('broker-in-doubt', 0, binds)).to.equal('no effect')
    const publishes = async () => {
      client.write('{"payment_id":"1"}')
      await heard(client)
    }
    expect(await during('broker-in-doubt', 0, publishes)).to.equal(undefined)
  })

  it('faults of the links report no effect when there is no connection', async () => {
    await eventually(() => expect(links.broker.all.some(({ open }) => open > 0)).to.equal(false))
    expect(await during('broker-reset', 0, async () => {})).to.equal('no effect')
    const client = await connected('broker', 'worker')
    expect(await during('broker-reset', 0, () => heard(client))).to.equal(undefined)
  })
})
