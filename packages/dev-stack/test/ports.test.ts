import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect } from 'chai'
import { freePort, freePorts, isPortFree } from '../src/ports.ts'

describe('ports', () => {
  it('are all different', async () => {
    expect(new Set(await freePorts(20)).size).to.equal(20)
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
