import { expect } from 'chai'
import { descendantsOf, identify, isRunning, type ProcessIdentity } from '../../src/processes/process-table.ts'
import { type RabbitmqServer, startRabbitmq } from '../../src/servers/rabbitmq.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

describe('RabbitMQ', function () {
  this.timeout(180_000) // The first one on a machine may have to be downloaded.
  const folder = temporaryFolder()
  const spawned: ProcessIdentity[] = []
  let server: RabbitmqServer

  const onSpawn = (pid: number) => {
    const identity = identify(pid)
    if (identity) spawned.push(identity)
  }

  before(async () => {
    server = await startRabbitmq({ dir: folder.path, onSpawn })
  })
  after(async () => {
    await server.stop()
    folder.remove()
  })

  async function management(path: string, method = 'GET'): Promise<Response> {
    const { origin, username, password } = new URL(server.managementUrl)
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
    return fetch(`${origin}${path}`, { method, headers: { authorization } })
  }

  it('is a broker of its own, with management', async () => {
    const overview = (await (await management('/api/overview')).json()) as { node: string }
    expect(overview.node).to.equal('cashflow@localhost')
    expect(await server.ctl('list_users')).to.contain('guest')
  })

  it('leaves nothing running when it is killed, and finds its data again', async () => {
    expect((await management('/api/vhosts/kept', 'PUT')).status).to.equal(201)
    const all = [...spawned, ...descendantsOf(server.pid)]
    expect(all).to.have.length.greaterThan(3)
    const { port, managementPort } = server
    process.kill(server.pid, 'SIGKILL')
    await server.exited
    await server.stop()
    expect(all.filter(isRunning)).to.deep.equal([])

    server = await startRabbitmq({ dir: folder.path, ports: { amqp: port, management: managementPort }, onSpawn })
    expect(server.port).to.equal(port)
    expect((await management('/api/vhosts/kept')).status).to.equal(200)
  })

  it('says which port it was asked for is taken', async () => {
    const other = temporaryFolder()
    const start = startRabbitmq({ dir: other.path, ports: { amqp: server.port } })
    const message = await start.then(
      () => 'started',
      (error: Error) => error.message,
    )
    expect(message).to.equal(`RabbitMQ did not start: port ${server.port} taken`)
    other.remove()
  })

  it('leaves nothing running when it stops', async () => {
    const all = [...spawned, ...descendantsOf(server.pid)]
    await server.stop()
    expect(all.filter(isRunning)).to.deep.equal([])
  })
})
