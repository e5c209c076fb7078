import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type PostgresServer, type RabbitmqServer, startPostgres, startRabbitmq } from '@cashflow/dev-stack'
import { createMigrated } from '@cashflow/testing'
import type { Product } from './contender.ts'
import { createTextbookTemplate } from './textbook/template.ts'

/** The PostgreSQL and the RabbitMQ that all variants of a run share, each with databases and a vhost of its own. */
export interface Servers {
  readonly postgres: PostgresServer
  readonly rabbitmq: RabbitmqServer
  /** Logs of the servers and of every process stay here. */
  readonly dir: string
  stop(): Promise<void>
}

/**
 * What whoever runs PostgreSQL for payments sets on a small machine, and what is the same for every variant. All that
 * is committed reaches the disk: fsync, synchronous_commit and full_page_writes are as PostgreSQL has them, on.
 */
const POSTGRES_SETTINGS = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '1GB',
  // No checkpoint falls into one variant's turn and spares another's.
  max_wal_size: '8GB',
  checkpoint_timeout: '15min',
  // Dead rows of one variant are vacuumed in its own turn, and not in the next one's.
  autovacuum_naptime: '10s',
}

export interface ServersOptions {
  /** Is created. Data go when the servers stop, logs stay. */
  readonly dir: string
  /** Those whose template databases are made, each by its own migrations. */
  readonly products: readonly Product[]
  readonly say: (line: string) => void
  readonly signal: AbortSignal
}

export async function startServers({ dir, products, say, signal }: ServersOptions): Promise<Servers> {
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
    await createTextbookTemplate(postgres.url)
    return { postgres, rabbitmq, dir, stop }
  } catch (error) {
    // One that runs on would keep this process from ending.
    await stop()
    throw error
  }
}
