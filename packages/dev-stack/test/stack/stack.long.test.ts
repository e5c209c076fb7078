import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { eventually } from '@cashflow/async'
import { expect } from 'chai'
import { freePorts } from '../../src/ports.ts'
import { isRunning } from '../../src/processes/process-table.ts'
import { removePostgresData } from '../../src/servers/postgres.ts'
import { query } from '../../src/servers/postgres-client.ts'
import { readStackFile } from '../../src/stack/state-folder.ts'
import { type Ports, processesOf, runStack, type StackRun } from '../support/stack-run.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

/** Servers that do not exist: the fake services do not connect. */
const BROKER = { RABBITMQ_URL: 'amqp://guest:secret@broker.example/' }
const DATABASE = { DATABASE_URL: 'postgres://user:secret@database.example/payments' }

describe('stack', function () {
  this.timeout(180_000)
  const folder = temporaryFolder()
  const stackFile = join(folder.path, 'stack.json')
  const runs: StackRun[] = []
  let ports: Ports
  let port: number

  before(async () => {
    const [postgres, rabbitmq, management, api] = await freePorts(4)
    ports = { postgres, rabbitmq, management }
    port = api
  })
  afterEach(async () => {
    for (const run of runs.splice(0)) {
      run.kill('SIGTERM')
      await run.exited
    }
  })
  after(() => {
    removePostgresData(folder.path)
    folder.remove()
  })

  function start(env: Record<string, string> = BROKER, ...options: 'fresh'[]): StackRun {
    const run = runStack(folder.path, ports, { PORT: String(port), ...env }, ...options)
    runs.push(run)
    return run
  }

  it('describes its servers and processes in stack.json as long as it runs', async () => {
    const run = start()
    const file = await run.ready()
    expect(file).to.have.all.keys(
      'api',
      'console_url',
      'admin',
      'database_url',
      'rabbitmq_url',
      'rabbitmq_management_url',
      'processes',
    )
    expect(file.api).to.have.length(2)
    expect(file.api[0]).to.equal(`http://127.0.0.1:${port}`)
    const [, consolePort, token] = /^http:\/\/127\.0\.0\.1:(\d+)\/#token=([\w-]{43})$/.exec(file.console_url) ?? []
    expect(run.output()).to.match(
      new RegExp(`api 1 .*console settings CONSOLE_PORT=${consolePort} CONSOLE_TOKEN=${token}`),
    )
    expect(run.output()).to.match(/api 2 .*console settings CONSOLE_PORT="?"?$/m)
    expect(run.output()).to.contain(`Console     ${file.console_url}`)
    expect(statSync(stackFile).mode & 0o777).to.equal(0o600)
    expect(file.database_url).to.equal(`postgres://postgres:postgres@127.0.0.1:${ports.postgres}/payments`)
    expect(file.rabbitmq_url).to.equal(BROKER.RABBITMQ_URL)
    expect(file.processes).to.have.all.keys('postgres', 'api', 'relay', 'worker', 'webhooks')
    expect(file.processes.worker).to.have.length(2)
    expect(file.processes.webhooks).to.have.length(1)
    for (const api of file.api) expect((await fetch(`${api}/health`)).status).to.equal(200)
    expect(file.admin.worker).to.have.length(2)
    for (const url of Object.values(file.admin).flat()) {
      expect(run.output()).to.contain(`${url}/metrics`)
      expect(run.output()).to.contain(`ADMIN_PORT=${new URL(url).port}`)
    }
    expect(new Set(Object.values(file.admin).flat())).to.have.lengthOf(Object.values(file.admin).flat().length)
    expect(run.output()).to.match(/worker 1 .*settings .*DATABASE_URL=\S+\/payments.*LOG_LEVEL=info/)
    expect(run.output()).to.contain(`curl http://127.0.0.1:${port}/api/v1/payments`)
    expect(run.output().split('everything')[0]).not.to.contain('guest:secret')

    const processes = processesOf(file)
    run.kill('SIGTERM')
    expect(await run.exited).to.equal(0)
    expect(existsSync(stackFile)).to.equal(false)
    expect(processes.filter(isRunning)).to.deep.equal([])
  })

  it('starts no server that the settings name, and registers no process of it', async () => {
    const file = await start({ ...BROKER, ...DATABASE }).ready()
    expect(file).to.include({ database_url: DATABASE.DATABASE_URL, rabbitmq_url: BROKER.RABBITMQ_URL })
    expect(file.processes).to.have.all.keys('api', 'relay', 'worker', 'webhooks')
    expect(runs[0]?.output())
      .to.contain('using the PostgreSQL at database.example')
      .and.contain('using the RabbitMQ at broker.example')
  })

  it('treats two signals within a second as one', async () => {
    const run = start({ ...BROKER, ...DATABASE })
    await run.ready()
    run.kill('SIGINT')
    run.kill('SIGINT')
    expect(await run.exited).to.equal(0)
    expect(run.output().match(/stopped/g)).to.have.length.at.least(5)
  })

  it('kills the services that have not stopped at a second signal, over a second later', async () => {
    const run = start({ ...BROKER, ...DATABASE, FAKE_DEAF: 'relay' })
    const processes = processesOf(await run.ready())
    let code: number | string | undefined
    run.exited.then((exit) => {
      code = exit
    })
    await eventually(() => {
      run.kill('SIGINT')
      expect(code).to.equal(1)
    })
    expect(existsSync(stackFile)).to.equal(false)
    await eventually(() => expect(processes.filter(isRunning)).to.deep.equal([]))
  })

  it('stack does not start twice in a checkout, and names the running API', async () => {
    await start({ ...BROKER, ...DATABASE }).ready()
    const second = start()
    expect(await second.exited).to.equal(1)
    expect(second.output()).to.contain(`already running in this checkout: http://127.0.0.1:${port}`)
  })

  it('stops by itself when a service cannot start, and prints the reason', async () => {
    const run = start({ ...BROKER, FAKE_BROKEN: 'worker' })
    expect(await run.exited).to.equal(1)
    expect(run.output())
      .to.match(/worker \d +I cannot work like this/)
      .and.match(/worker \d ended before it was ready \(code 3\)/)
    await start().ready()
  })

  it('restarts a service that dies, and updates its pid in stack.json', async () => {
    const run = start({ ...BROKER, ...DATABASE })
    const [first, second] = (await run.ready()).processes.worker
    process.kill(first as number, 'SIGKILL')
    await eventually(() => expect(readStackFile(stackFile)?.processes.worker).to.deep.equal([second]))
    const workers = await eventually(() => {
      const pids = readStackFile(stackFile)?.processes.worker ?? []
      expect(pids).to.have.length(2)
      return pids
    })
    expect(workers).to.contain(second).and.not.to.contain(first)
    expect(run.output()).to.match(/worker 1 died.*SIGKILL/)
  })

  it('restarts a database that dies, with its port and its data', async () => {
    const run = start()
    const { database_url, processes } = await run.ready()
    await query(database_url, 'create table survivors as select 1 as one')
    process.kill(processes.postgres as number, 'SIGKILL')
    await eventually(async () =>
      expect(await query(database_url, 'select one from survivors')).to.deep.equal([{ one: 1 }]),
    )
    await eventually(() => expect(readStackFile(stackFile)?.processes.postgres).not.to.equal(processes.postgres))
  })

  it('stops the processes of a killed run, and keeps its data', async () => {
    const killed = start()
    const file = await killed.ready()
    await query(file.database_url, 'create table found as select 2 as two')
    killed.kill('SIGKILL')
    await killed.exited
    expect(existsSync(stackFile)).to.equal(true)
    const left = processesOf(file)
    expect(left.map(({ pid }) => pid)).to.include(file.processes.postgres)

    const next = start()
    const { database_url } = await next.ready()
    expect(left.filter(isRunning)).to.deep.equal([])
    expect(next.output()).to.contain(
      `stopping postgres (pid ${file.processes.postgres}), which an earlier run left behind`,
    )
    expect(await query(database_url, 'select two from found')).to.deep.equal([{ two: 2 }])
  })

  it('keeps its data after all its processes were killed', async () => {
    const killed = start()
    const file = await killed.ready()
    await query(file.database_url, 'create table everything as select 3 as three')
    for (const { pid } of [{ pid: killed.pid }, ...processesOf(file)]) process.kill(pid, 'SIGKILL')
    await killed.exited
    const { database_url } = await start().ready()
    expect(await query(database_url, 'select three from everything')).to.deep.equal([{ three: 3 }])
  })

  it('starts both servers with empty data on --fresh, and restarts the broker when it dies', async () => {
    const run = start({}, 'fresh')
    const { database_url, rabbitmq_management_url, processes } = await run.ready()
    expect(await query(database_url, `select from pg_tables where schemaname = 'public'`)).to.deep.equal([])
    expect(rabbitmq_management_url).to.equal(`http://guest:guest@127.0.0.1:${ports.management}`)
    process.kill(processes.rabbitmq as number, 'SIGKILL')
    await eventually(() => {
      const pid = readStackFile(stackFile)?.processes.rabbitmq
      expect(pid).to.be.a('number').and.not.to.equal(processes.rabbitmq)
    })
    expect((await fetch(`http://127.0.0.1:${ports.management}/`)).status).to.equal(200)
  }).timeout(180_000)

  it('refuses --fresh when the settings name a server', async () => {
    const run = start(BROKER, 'fresh')
    expect(await run.exited).to.equal(1)
    expect(run.output()).to.contain('RABBITMQ_URL')
  })

  it('uses another port when the usual one is taken, and prints it', async () => {
    const other = createServer().listen(ports.postgres, '127.0.0.1')
    await once(other, 'listening')
    const run = start()
    const { database_url } = await run.ready()
    other.close()
    const used = new URL(database_url).port
    expect(used).not.to.equal(String(ports.postgres))
    expect(run.output()).to.contain(`port ${ports.postgres} is taken: PostgreSQL uses ${used}`)
  })

  it('gives each API its own free port with PORT=0', async () => {
    const { api } = await start({ ...BROKER, ...DATABASE, PORT: '0' }).ready()
    expect(api).to.have.length(2)
    for (const url of api) expect((await fetch(`${url}/health`)).status).to.equal(200)
    expect(new Set(api.map((url) => new URL(url).port)).size).to.equal(2)
    for (const url of api) expect(Number(new URL(url).port)).to.be.above(0)
  })

  it('stack does not start when PORT is taken', async () => {
    const other = createServer().listen(port, '127.0.0.1')
    await once(other, 'listening')
    const run = start({ ...BROKER, ...DATABASE })
    expect(await run.exited).to.equal(1)
    expect(run.output()).to.contain(`port ${port}, which PORT asks for, is taken`).and.not.to.contain('starting')
    other.close()
  })
})
