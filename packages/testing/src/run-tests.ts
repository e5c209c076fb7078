import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { REPOSITORY } from './repository.ts'
import { readReports, summary } from './run-report.ts'
import { startServers } from './servers.ts'

/**
 * For each task, the packages of each lane but the last, which has all others: by measured durations, each lane has the same
 * part of the work. The long tests wait more than they compute, so they have one lane more than a small machine has cores.
 */
const LANES: Readonly<Record<string, readonly (readonly string[])[]>> = {
  test: [
    [
      '@cashflow/messaging',
      '@cashflow/api',
      '@cashflow/dev-stack',
      '@cashflow/testing',
      '@cashflow/chaos',
      '@cashflow/outbox',
      '@cashflow/client',
    ],
  ],
  'test:long': [
    ['@cashflow/testing', '@cashflow/relay', '@cashflow/messaging', '@cashflow/monitoring'],
    [
      ...['@cashflow/chaos', '@cashflow/api', '@cashflow/bench'],
      ...['@cashflow/client', '@cashflow/dev-stack', '@cashflow/runtime'],
    ],
  ],
  // Packages without such a script are passed over.
  'test:browser': [],
}

/**
 * Runs `npm test`, `npm run test:long` and `npm run test:browser`: starts one PostgreSQL and one RabbitMQ, then runs that
 * script of every package, one package at a time in each lane. Arguments after the task go to turbo, such as `--filter=@cashflow/db`.
 */
const [task = '', ...args] = process.argv.slice(2)
const lanes = LANES[task]
if (!lanes) throw new Error(`there is no task "${task}", only ${Object.keys(LANES).join(' and ')}`)
// In one run, turbo orders packages differently each time, and might start the longest one last.
const filters = [
  ...lanes.map((names) => names.map((name) => `--filter=${name}`)),
  lanes.flat().map((name) => `--filter=!${name}`),
]
const runs = args.length > 0 ? [['--concurrency=2', ...args]] : filters.map((lane) => ['--concurrency=1', ...lane])

const startedAt = performance.now()
const servers = await startServers()
const folder = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
const reports = join(folder, 'reports')
await mkdir(reports)
const env = {
  ...process.env,
  CASHFLOW_TEST_SERVERS: JSON.stringify(servers.addresses),
  CASHFLOW_TEST_REPORTS: reports,
  // Tests start hundreds of processes, and most of the time of a start is for compiling.
  NODE_COMPILE_CACHE: join(folder, 'compile-cache'),
  MOCHA_OPTIONS: `--reporter ${join(import.meta.dirname, 'run-reporter.ts')}`,
  TURBO_TELEMETRY_DISABLED: '1',
}
const turbos = runs.map((options) =>
  spawn('turbo', ['run', task, '--continue=always', ...options], { cwd: REPOSITORY, stdio: 'inherit', env }),
)
// Ctrl-C reaches turbo as well. This process ends later, when its servers have stopped.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => turbos.map((turbo) => turbo.kill(signal)))
const codes = await Promise.all(turbos.map(async (turbo) => ((await once(turbo, 'exit')) as [number | null])[0]))
await servers.stop()
process.stdout.write(summary(`npm run ${task}`, readReports(reports), performance.now() - startedAt))
await rm(folder, { recursive: true, force: true })
const failed = codes.some((code) => code !== 0)
// Mocha reports nothing for a file that cannot be loaded.
if (failed) process.stdout.write('The run failed. Turbo names the packages above, after "Failed:".\n')
process.exitCode = failed ? 1 : 0
