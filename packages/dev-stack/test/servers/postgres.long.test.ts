import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { defined, eventually } from '@cashflow/async'
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
import { temporaryFolder } from '../support/temporary-folder.ts'

const POSTGRES_MODULE = join(import.meta.dirname, '../../src/servers/postgres.ts')

describe('PostgreSQL of the stack', () => {
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

  it('starts with the given settings', async () => {
    const server = await start({ settings: { work_mem: '5MB' } })
    const [row] = await query(
      server.url,
      `select current_setting('work_mem') as work_mem, current_setting('max_connections')::int >= 200 as ample,
        current_setting('fsync') as fsync, current_setting('server_version_num')::int >= 180000 as recent`,
    )
    expect(row).to.deep.equal({ work_mem: '5MB', ample: true, fsync: 'on', recent: true })
    await server.stop()
  })

  it('requires the password', async () => {
    const server = await start()
    const failure = await query(server.url.replace(':postgres@', ':wrong@'), 'select 1').catch((error) => error.code)
    expect(failure).to.equal('28P01')
    await server.stop()
  })

  it('keeps committed data after SIGKILL', async () => {
    const first = await start()
    await query(first.url, 'create table kept as select 42 as answer')
    process.kill(first.pid, 'SIGKILL')
    await first.exited
    const second = await start({ port: first.port })
    expect(await query(second.url, 'select answer from kept')).to.deep.equal([{ answer: 42 }])
    await second.stop()
  })

  it('starts although postmaster.pid names a process of another program', async () => {
    const home = postgresHome(folder.path)
    // The parent's pid, since PostgreSQL itself takes its own parent's for a recycled one.
    writeFileSync(join(home.files, 'data/postmaster.pid'), `${process.ppid}\n`)
    const server = await start()
    expect(readFileSync(join(home.files, 'data/postmaster.pid'), 'utf8')).to.match(new RegExp(`^${server.pid}\n`))
    await server.stop()
  })

  it('PostgreSQL does not start when its port is taken, and names the port', async () => {
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

  it('PostgreSQL does not start when the signal aborts during the start', async () => {
    const spawned: number[] = []
    const giveUp = new AbortController()
    const onSpawn = (pid: number) => {
      spawned.push(pid)
      giveUp.abort(new Error('enough'))
    }
    const message = await start({ onSpawn, signal: giveUp.signal }).catch((error: Error) => error.message)
    expect(message).to.equal('enough')
    expect(() => process.kill(defined(spawned[0], 'pid of PostgreSQL'), 0)).to.throw('ESRCH')
  })

  it('returns PostgreSQL, so that it can be stopped, when the signal aborts at the moment in which it is ready', async () => {
    const late = new AbortController().signal
    late.throwIfAborted = () => {
      throw new Error('a moment too late')
    }
    const server = await start({ signal: late })
    await server.stop()
    expect(identify(server.pid)).to.equal(undefined)
  })

  it('removes its data when it stops, unless keep is set', async () => {
    const temporary = temporaryFolder()
    const server = await startPostgres({ dir: temporary.path })
    await server.stop()
    expect(() => readFileSync(server.logFile)).to.throw('ENOENT')
    temporary.remove()
  })

  it('leaves neither process nor data once the next one starts after its parent process was killed', async () => {
    const killed = temporaryFolder()
    const script = `import { startPostgres } from ${JSON.stringify(POSTGRES_MODULE)}
      const { pid, logFile } = await startPostgres(${JSON.stringify({ dir: killed.path })})
      console.log(JSON.stringify({ pid, logFile }))`
    const run = spawn(process.execPath, ['--input-type=module', '-e', script])
    const [answer] = await once(run.stdout, 'data')
    const { pid, logFile } = JSON.parse(String(answer))
    run.kill('SIGKILL')
    await eventually(() => expect(identify(pid)).to.equal(undefined))
    killed.remove()
    const next = temporaryFolder()
    await (await startPostgres({ dir: next.path })).stop()
    expect(existsSync(dirname(logFile))).to.equal(false)
    next.remove()
  })
})
