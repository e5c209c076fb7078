import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres, startRabbitmq } from '@cashflow/dev-stack'
import type { Addresses } from './addresses.ts'
import { createMigrated } from './test-database.ts'

const TEMPLATE = 'cashflow_template'

type Servers = Awaited<ReturnType<typeof startServers>>

/** Starts a PostgreSQL and a RabbitMQ for one test run, on free ports, and creates the template of its databases. */
export async function startServers() {
  await using unfinished = new AsyncDisposableStack()
  const { path: dir } = unfinished.use(await mkdtempDisposable(join(tmpdir(), 'cashflow-test-')))
  const log = (line: string) => process.stderr.write(`${line}\n`)
  // No test loses the machine, so nothing has to reach its disk. Killed servers recover all the same.
  const settings = { fsync: 'off', max_connections: '300' }
  const starting = [
    startPostgres({ dir: join(dir, 'postgres'), settings, log }),
    startRabbitmq({ dir: join(dir, 'rabbitmq'), log }),
  ] as const
  // A server that runs on would keep this process alive.
  unfinished.defer(async () => {
    const started = (await Promise.allSettled(starting)).filter((result) => result.status === 'fulfilled')
    await Promise.all(started.map(({ value }) => value.stop()))
  })
  const [postgres, { url: amqpUrl, managementUrl }] = await Promise.all(starting)
  await createMigrated(postgres.url, TEMPLATE)
  const addresses: Addresses = { postgresUrl: postgres.url, template: TEMPLATE, amqpUrl, managementUrl }
  const running = unfinished.move()
  return { addresses, stop: () => running.disposeAsync() }
}

/** Mocha shares `this` between the two functions below. */
interface MochaGlobals {
  servers?: Servers
}

/** Called through mocha's `--require`. A package's tests use the run's servers; run alone, they start their own. */
export async function mochaGlobalSetup(this: MochaGlobals): Promise<void> {
  if (process.env.CASHFLOW_TEST_SERVERS) return
  this.servers = await startServers()
  process.env.CASHFLOW_TEST_SERVERS = JSON.stringify(this.servers.addresses)
}

export async function mochaGlobalTeardown(this: MochaGlobals): Promise<void> {
  await this.servers?.stop()
}
