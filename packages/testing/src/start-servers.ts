import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startPostgres, startRabbitmq } from '@cashflow/dev-stack'
import pg from 'pg'
import { type Addresses, withDatabase } from './addresses.ts'
import { REPOSITORY } from './repository.ts'

const TEMPLATE = 'cashflow_template'

export interface Servers {
  addresses: Addresses
  stop(): Promise<void>
}

/** Starts a PostgreSQL and a RabbitMQ of the run's own on free ports, and makes the template of its databases. */
export async function startServers(): Promise<Servers> {
  const dir = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
  const log = (line: string) => process.stderr.write(`${line}\n`)
  // Nothing here outlives the machine, so nothing has to reach its disk. Killed servers recover all the same.
  const settings = { fsync: 'off', max_connections: '300' }
  const starting = [
    startPostgres({ dir: join(dir, 'postgres'), settings, log }),
    startRabbitmq({ dir: join(dir, 'rabbitmq'), log }),
  ] as const
  const stop = async () => {
    const started = (await Promise.allSettled(starting)).filter((result) => result.status === 'fulfilled')
    await Promise.all(started.map(({ value }) => value.stop()))
    await rm(dir, { recursive: true, force: true })
  }
  try {
    const [postgres, rabbitmq] = await Promise.all(starting)
    await makeTemplate(postgres.url)
    const { url: amqpUrl, managementUrl } = rabbitmq
    return { addresses: { postgresUrl: postgres.url, template: TEMPLATE, amqpUrl, managementUrl }, stop }
  } catch (error) {
    // One that runs on would keep this process from ending.
    await stop()
    throw error
  }
}

async function makeTemplate(postgresUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: postgresUrl })
  await client.connect()
  await client.query(`create database ${TEMPLATE}`)
  await client.end()
  // As a process of its own: the migrations are under test as they are run, and this package needs no other of ours.
  await promisify(execFile)(process.execPath, [join(REPOSITORY, 'db/src/bin.ts')], {
    cwd: tmpdir(),
    env: { ...process.env, DATABASE_URL: withDatabase(postgresUrl, TEMPLATE) },
  })
}
