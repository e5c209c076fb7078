import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startPostgres, startRabbitmq } from '@cashflow/dev-stack'
import { createMigrated, query, withDatabase } from '@cashflow/testing'
import { type Product, TEXTBOOK } from './contender.ts'

export type Servers = Awaited<ReturnType<typeof startServers>>

/**
 * Settings for payments on a small machine, the same for every variant. Every commit reaches the disk: fsync,
 * synchronous_commit and full_page_writes are on, which is PostgreSQL's default.
 */
const POSTGRES_SETTINGS = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '1GB',
  // No checkpoint falls into one variant's turn and spares another one.
  max_wal_size: '8GB',
  checkpoint_timeout: '15min',
  // The dead rows of one variant are vacuumed in its own turn, not in the next one.
  autovacuum_naptime: '10s',
}

export interface ServersOptions {
  /** A folder that is created, for all logs. The data are deleted when the servers stop, and the logs stay. */
  readonly dir: string
  /** The products whose template databases are created, each by its own migrations. */
  readonly products: readonly Product[]
  readonly say: (line: string) => void
  readonly signal: AbortSignal
}

/**
 * Starts the PostgreSQL and the RabbitMQ that all variants of a run share. Each variant has its own databases and vhosts.
 */
export async function startServers({ dir, products, say, signal }: ServersOptions) {
  await mkdir(dir, { recursive: true })
  const brokerDir = join(dir, 'rabbitmq')
  const starting = [
    startPostgres({ dir: join(dir, 'postgres'), settings: POSTGRES_SETTINGS, log: say, signal }),
    startRabbitmq({ dir: brokerDir, log: say, signal }),
  ] as const
  const stop = async () => {
    const started = (await Promise.allSettled(starting)).filter((result) => result.status === 'fulfilled')
    await Promise.all(started.map(({ value }) => value.stop()))
    await rm(brokerDir, { recursive: true, force: true })
  }
  try {
    const [postgres, rabbitmq] = await Promise.all(starting)
    for (const { root, template } of products) await createMigrated(postgres.url, template, root)
    await query(postgres.url, `create database ${TEXTBOOK.template}`)
    const schema = await readFile(join(import.meta.dirname, 'textbook/schema.sql'), 'utf8')
    await query(withDatabase(postgres.url, TEXTBOOK.template), schema)
    return { postgres, rabbitmq, dir, stop }
  } catch (error) {
    // A server that runs on would keep this process from ending.
    await stop()
    throw error
  }
}
