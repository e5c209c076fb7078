import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect } from 'chai'
import { freePort, freePorts, isPortFree } from '../src/ports.ts'

describe('ports', () => {
  it('are all different', async () => {
    const ports = await freePorts(20)
    expect(new Set(ports).size).to.equal(20)
  })

  it('are none that an outgoing connection may get', async () => {
    for (const port of await freePorts(20)) expect(port).to.be.within(10_000, 32_767)
  })

  for (const host of ['127.0.0.1', '0.0.0.0']) {
    it(`are taken when somebody listens on ${host}`, async () => {
      const port = await freePort()
      expect(await isPortFree(port)).to.equal(true)
      const server = createServer().listen(port, host)
      await once(server, 'listening')
      expect(await isPortFree(port)).to.equal(false)
      server.close()
    })
  }
})
