import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { REPOSITORY } from './repository.ts'
import { startServers } from './start-servers.ts'

/** `npm test`: one PostgreSQL and one RabbitMQ for the run, then every package's tests; arguments go to turbo. */
const servers = await startServers()
const turbo = spawn('turbo', ['run', 'test', '--continue=always', '--concurrency=2', ...process.argv.slice(2)], {
  cwd: REPOSITORY,
  stdio: 'inherit',
  env: { ...process.env, CASHFLOW_TEST_SERVERS: JSON.stringify(servers.addresses), TURBO_TELEMETRY_DISABLED: '1' },
})
// Ctrl-C reaches turbo as well; this process ends after it, when its servers have stopped.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => turbo.kill(signal))
const [code] = (await once(turbo, 'exit')) as [number | null]
await servers.stop()
process.exitCode = code ?? 1
