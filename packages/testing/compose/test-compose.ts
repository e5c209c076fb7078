import { execFile, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { eventually } from '@cashflow/async'
import { REPOSITORY } from '../src/repository.ts'
import { type Command, projectEnv } from './project-env.ts'

/**
 * Runs `npm run test:compose`: tests the system that docker-compose.yml builds and starts, then removes all of it.
 * The tests run in a child process group, so that neither Ctrl-C nor a crash of the tests prevents the removal.
 */
const compose = await findCompose()
const env = await projectEnv(compose)
const tests = start(
  ['packages/testing/node_modules/.bin/mocha', '--config', 'packages/testing/compose/.mocharc.json'],
  'inherit',
)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => signalTests('SIGTERM'))

const [code] = (await once(tests, 'exit')) as [number | null]
signalTests('SIGTERM')
await eventually(() => {
  if (signalTests(0)) throw new Error('A command of the tests does not end')
}).catch(console.error)
if (code) console.error((await run(...compose, 'logs', '--no-color', '--tail=50')).output)
const removal = await run(...compose, 'down', '--volumes', '--rmi=local', '--remove-orphans')
if (!removal.succeeded) console.error(`${env.COMPOSE_PROJECT_NAME} is not wholly removed:\n${removal.output}`)
process.exitCode = code === 0 && removal.succeeded ? 0 : 1

/** Finds Compose: Docker's plug-in, or else the separate program. */
async function findCompose(): Promise<Command> {
  if (!(await succeeds('docker', 'info')))
    exit('No Docker engine answers. Check with "docker info" that one is running and that this user may reach it.')
  if (await succeeds('docker', 'compose', 'version')) return ['docker', 'compose']
  if (await succeeds('docker-compose', 'version')) return ['docker-compose']
  return exit('Docker Compose is missing: neither "docker compose" nor "docker-compose" runs.')
}

function succeeds(program: string, ...args: string[]): Promise<boolean> {
  return promisify(execFile)(program, args).then(
    () => true,
    () => false,
  )
}

function exit(reason: string): never {
  console.error(reason)
  process.exit(1)
}

function start([program, ...args]: Command, stdio: StdioOptions) {
  return spawn(program, args, { cwd: REPOSITORY, env, stdio, detached: true })
}

async function run(...command: Command): Promise<{ succeeded: boolean; output: string }> {
  const child = start(command, ['ignore', 'pipe', 'pipe'])
  const [[code], ...output] = await Promise.all([
    once(child, 'close') as Promise<[number | null]>,
    child.stdout ? text(child.stdout) : '',
    child.stderr ? text(child.stderr) : '',
  ])
  return { succeeded: code === 0, output: output.join('') }
}

/** Signals the tests and every command that they started. Returns false once none is running. */
function signalTests(signal: NodeJS.Signals | 0): boolean {
  try {
    return tests.pid !== undefined && process.kill(-tests.pid, signal)
  } catch {
    return false
  }
}
