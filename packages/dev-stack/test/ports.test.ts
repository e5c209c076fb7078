import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect } from 'chai'
import { choosePort, freePort, freePorts, isPortFree, onPorts } from '../src/ports.ts'
import { removePostgresData, startPostgres } from '../src/servers/postgres.ts'
import { temporaryFolder } from './support/temporary-folder.ts'

describe('free ports', () => {
  it('gives free ports that are all different', async () => {
    const ports = await freePorts(20)
    expect(new Set(ports).size).to.equal(20)
  })

  it('gives free ports outside the ranges of outgoing connections', async () => {
    for (const port of await freePorts(20)) expect(port).to.be.within(10_000, 32_767)
  })

  for (const host of ['127.0.0.1', '0.0.0.0']) {
    it(`excludes a port with a listener on ${host}`, async () => {
      const port = await freePort()
      expect(await isPortFree(port)).to.equal(true)
      const server = createServer().listen(port, host)
      await once(server, 'listening')
      expect(await isPortFree(port)).to.equal(false)
      server.close()
    })
  }

  it('chooses a port again when another process takes the chosen one before the server does', async () => {
    const folder = temporaryFolder()
    const usual = await freePort()
    const other = createServer()
    const lines: string[] = []
    const choose = async () => {
      const port = await choosePort('PostgreSQL', usual, (line) => lines.push(line))
      if (!other.listening) await once(other.listen(usual, '127.0.0.1'), 'listening')
      return port
    }
    const { ports: port, server } = await onPorts(choose, (port) => startPostgres({ dir: folder.path, port }))
    other.close()
    expect(server.port).to.equal(port).and.not.to.equal(usual)
    expect(lines).to.deep.equal([`port ${usual} is taken: PostgreSQL uses ${port}`])
    await server.stop()
    removePostgresData(folder.path)
    folder.remove()
  })
})
