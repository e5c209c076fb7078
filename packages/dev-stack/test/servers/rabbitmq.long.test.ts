import { expect } from 'chai'
import { descendantsOf, identify, isRunning, type ProcessIdentity } from '../../src/processes/process-table.ts'
import { startRabbitmq } from '../../src/servers/rabbitmq.ts'
import { management } from '../../src/servers/rabbitmq-management.ts'
import type { RabbitmqServer } from '../../src/servers/rabbitmq-server.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

describe('RabbitMQ of the stack', function () {
  this.timeout(180_000) // The first run on a machine may have to download RabbitMQ.
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

  const request = (method: string, path: string) => management(server.managementUrl).request(method, path)

  it('RabbitMQ of the stack is a private broker with the management API', async () => {
    const overview = (await request('GET', '/overview')) as { node: string }
    expect(overview.node).to.equal('cashflow@localhost')
    expect(await server.ctl('list_users')).to.contain('guest')
  })

  it('leaves no process when it is killed, and keeps its data', async () => {
    await request('PUT', '/vhosts/kept')
    const all = [...spawned, ...descendantsOf(server.pid)]
    expect(all).to.have.length.greaterThan(3)
    const { port, managementPort } = server
    process.kill(server.pid, 'SIGKILL')
    await server.exited
    await server.stop()
    expect(all.filter(isRunning)).to.deep.equal([])

    server = await startRabbitmq({ dir: folder.path, ports: { amqp: port, management: managementPort }, onSpawn })
    expect(server.port).to.equal(port)
    expect(await request('GET', '/vhosts/kept')).to.include({ name: 'kept' })
  })

  it('RabbitMQ does not start when a requested port is taken, and names the port', async () => {
    const other = temporaryFolder()
    const start = startRabbitmq({ dir: other.path, ports: { amqp: server.port } })
    const message = await start.then(
      () => 'started',
      (error: Error) => error.message,
    )
    expect(message).to.equal(`RabbitMQ did not start: port ${server.port} taken`)
    other.remove()
  })

  it('leaves no process when it stops', async () => {
    const all = [...spawned, ...descendantsOf(server.pid)]
    await server.stop()
    expect(all.filter(isRunning)).to.deep.equal([])
  })
})
