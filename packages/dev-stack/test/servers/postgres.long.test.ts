import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { expect } from 'chai'
import { freePort } from '../../src/ports.ts'
import { identify } from '../../src/processes/process-table.ts'
import {
  type PostgresOptions,
  type PostgresServer,
  removePostgresData,
  startPostgres,
} from '../../src/servers/postgres.ts'
import { query } from '../../src/servers/postgres-client.ts'
import { postgresHome } from '../../src/servers/postgres-home.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const POSTGRES_MODULE = join(import.meta.dirname, '../../src/servers/postgres.ts')

describe('PostgreSQL', () => {
  const folder = temporaryFolder()
  const servers: PostgresServer[] = []
  after(async () => {
    for (const server of servers) await server.stop()
    removePostgresData(folder.path)
    folder.remove()
  })

  async function start(options: Partial<PostgresOptions> = {}): Promise<PostgresServer> {
    const server = await startPostgres({ dir: folder.path, keep: true, ...options })
    servers.push(server)
    return server
  }

  it('starts with the settings that are asked for', async () => {
    const server = await start({ settings: { work_mem: '5MB' } })
    const [row] = await query(
      server.url,
      `select current_setting('work_mem') as work_mem, current_setting('max_connections')::int >= 200 as ample,
        current_setting('fsync') as fsync, current_setting('server_version_num')::int >= 180000 as recent`,
    )
    expect(row).to.deep.equal({ work_mem: '5MB', ample: true, fsync: 'on', recent: true })
    await server.stop()
  })

  it('asks for the password', async () => {
    const server = await start()
    const failure = await query(server.url.replace(':postgres@', ':wrong@'), 'select 1').catch((error) => error.code)
    expect(failure).to.equal('28P01')
    await server.stop()
  })

  it('finds committed data again after kill -9', async () => {
    const first = await start()
    await query(first.url, 'create table kept as select 42 as answer')
    process.kill(first.pid, 'SIGKILL')
    await first.exited
    const second = await start({ port: first.port })
    expect(await query(second.url, 'select answer from kept')).to.deep.equal([{ answer: 42 }])
    await second.stop()
  })

  it('starts although postmaster.pid names a process, if that is another program', async () => {
    const home = postgresHome(folder.path)
    // The parent's pid, since PostgreSQL itself takes its own parent's for a recycled one.
    writeFileSync(join(home.files, 'data/postmaster.pid'), `${process.ppid}\n`)
    const server = await start()
    expect(readFileSync(join(home.files, 'data/postmaster.pid'), 'utf8')).to.match(new RegExp(`^${server.pid}\n`))
    await server.stop()
  })

  it('says so when its port is taken', async () => {
    const port = await freePort()
    const other = createServer().listen(port, '127.0.0.1')
    await once(other, 'listening')
    const message = await start({ port }).then(
      () => 'started',
      (error: Error) => error.message,
    )
    expect(message).to.equal(`PostgreSQL did not start: port ${port} taken`)
    other.close()
  })

  it('gives up when it is told to', async () => {
    const spawned: number[] = []
    const giveUp = new AbortController()
    const onSpawn = (pid: number) => {
      spawned.push(pid)
      giveUp.abort(new Error('enough'))
    }
    const message = await start({ onSpawn, signal: giveUp.signal }).catch((error: Error) => error.message)
    expect(message).to.equal('enough')
    expect(() => process.kill(spawned[0] as number, 0)).to.throw('ESRCH')
  })

  it('is not left running when it is told to give up at the moment in which it is ready', async () => {
    const late = new AbortController().signal
    late.throwIfAborted = () => {
      throw new Error('a moment too late')
    }
    const server = await start({ signal: late })
    await server.stop()
    expect(identify(server.pid)).to.equal(undefined)
  })

  it('takes its data along when it stops, unless it is to keep them', async () => {
    const temporary = temporaryFolder()
    const server = await startPostgres({ dir: temporary.path })
    await server.stop()
    expect(() => readFileSync(server.logFile)).to.throw('ENOENT')
    temporary.remove()
  })

  /** Its folder, which nobody has removed. */
  async function startKilled(options: Pick<PostgresOptions, 'diskMb'>): Promise<string> {
    const killed = temporaryFolder()
    const script = `import { startPostgres } from ${JSON.stringify(POSTGRES_MODULE)}
      const { pid, logFile } = await startPostgres(${JSON.stringify({ dir: killed.path, ...options })})
      console.log(JSON.stringify({ pid, logFile }))`
    const run = spawn(process.execPath, ['--input-type=module', '-e', script])
    const [answer] = await once(run.stdout, 'data')
    const { pid, logFile } = JSON.parse(String(answer))
    run.kill('SIGKILL')
    await eventually(() => expect(identify(pid)).to.equal(undefined))
    killed.remove()
    return dirname(logFile)
  }

  it('leaves neither process nor data nor disk when test runs are killed, as soon as the next one starts', async () => {
    const left = [await startKilled({}), await startKilled({ diskMb: 128 })]
    const next = temporaryFolder()
    await (await startPostgres({ dir: next.path, diskMb: 128 })).stop()
    expect(left.filter((folder) => existsSync(folder))).to.deep.equal([])
    next.remove()
  })
})
