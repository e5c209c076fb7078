import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { REPOSITORY } from './repository.ts'
import { startServers } from './start-servers.ts'

/** The two halves take about as long as each other. What no list names, such as a new package, is in the second. */
const FIRST_HALF = ['@cashflow/testing', '@cashflow/relay', '@cashflow/db', '@cashflow/outbox', '@cashflow/messaging']

/**
 * `npm test`: one PostgreSQL and one RabbitMQ for the run, then every package's tests, two packages at a time.
 * Arguments go to turbo, such as `--filter=@cashflow/db`.
 */
const args = process.argv.slice(2)
// Turbo takes packages in an order of its own, different each time, and might leave the longest to the end.
const halves = [FIRST_HALF.map((name) => `--filter=${name}`), FIRST_HALF.map((name) => `--filter=!${name}`)]
const runs = args.length > 0 ? [['--concurrency=2', ...args]] : halves.map((filters) => ['--concurrency=1', ...filters])

const servers = await startServers()
const env = { ...process.env, CASHFLOW_TEST_SERVERS: JSON.stringify(servers.addresses), TURBO_TELEMETRY_DISABLED: '1' }
const turbos = runs.map((options) =>
  spawn('turbo', ['run', 'test', '--continue=always', ...options], { cwd: REPOSITORY, stdio: 'inherit', env }),
)
// Ctrl-C reaches them as well; this process ends after them, when its servers have stopped.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => turbos.map((turbo) => turbo.kill(signal)))
const codes = await Promise.all(turbos.map(async (turbo) => ((await once(turbo, 'exit')) as [number | null])[0]))
await servers.stop()
process.exitCode = codes.every((code) => code === 0) ? 0 : 1
