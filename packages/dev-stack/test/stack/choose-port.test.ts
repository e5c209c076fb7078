import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect } from 'chai'
import { freePort } from '../../src/ports.ts'
import { removePostgresData, startPostgres } from '../../src/servers/postgres.ts'
import { choosePort, onPorts } from '../../src/stack/choose-port.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

describe('a server’s port', () => {
  it('is chosen again when somebody takes it before the server does', async () => {
    const folder = temporaryFolder()
    const usual = await freePort()
    const other = createServer()
    const said: string[] = []
    const choose = async () => {
      const port = await choosePort('PostgreSQL', usual, (line) => said.push(line))
      if (!other.listening) await once(other.listen(usual, '127.0.0.1'), 'listening')
      return port
    }
    const { ports: port, server } = await onPorts(choose, (port) => startPostgres({ dir: folder.path, port }))
    other.close()
    expect(server.port).to.equal(port).and.not.to.equal(usual)
    expect(said).to.deep.equal([`port ${usual} is taken: PostgreSQL uses ${port}`])
    await server.stop()
    removePostgresData(folder.path)
    folder.remove()
  })
})
