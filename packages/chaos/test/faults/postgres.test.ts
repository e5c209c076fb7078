import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect } from 'chai'
import { POSTGRES_FAULTS } from '../../src/faults/postgres.ts'
import { createRandom } from '../../src/random.ts'
import type { System } from '../../src/system.ts'

describe('faults of PostgreSQL', () => {
  it('postgres-connections has no effect when connections are refused for another reason than their number', async () => {
    const server = createServer((socket) => socket.resetAndDestroy()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const system = { postgres: { url: `postgres://127.0.0.1:${port}/payments` }, query: async () => [] }
    const fault = POSTGRES_FAULTS.find(({ name }) => name === 'postgres-connections')
    let lasted = false
    const context = {
      random: createRandom(1),
      say() {},
      untilEnd: async () => {
        lasted = true
      },
    }
    expect(await fault?.run(system as unknown as System, context)).to.equal('no effect')
    expect(lasted).to.equal(true)
    server.close()
  })
})
