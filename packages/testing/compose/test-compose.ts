import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { eventually } from '../src/eventually.ts'
import { REPOSITORY } from '../src/repository.ts'
import { type Command, findCompose, NoEngine } from './engine.ts'
import { projectEnv } from './project-env.ts'

/**
 * `npm run test:compose`: tests the system that docker-compose.yml builds and starts, then removes all of it.
 * The tests are a child with a process group of its own: no Ctrl-C and no crash of theirs takes the removal along.
 */
const compose = await findCompose().catch((error) => {
  if (!(error instanceof NoEngine)) throw error
  console.error(error.message)
  process.exit(1)
})
const env = await projectEnv(compose)
const tests = start('packages/testing/node_modules/.bin/mocha', '--config', 'packages/testing/compose/.mocharc.json')
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => signalTests('SIGTERM'))

const passed = await succeeds(tests)
signalTests('SIGTERM')
await eventually(() => {
  if (signalTests(0)) throw new Error('a command of the tests does not end')
}).catch(console.error)
if (!passed) await succeeds(start(...compose, 'logs', '--no-color', '--tail=50'))
const removed = await succeeds(start(...compose, 'down', '--volumes', '--rmi=local', '--remove-orphans'))
process.exitCode = passed && removed ? 0 : 1

function start(...[program, ...args]: Command) {
  return spawn(program, args, { cwd: REPOSITORY, env, stdio: 'inherit', detached: true })
}

async function succeeds(child: ReturnType<typeof start>): Promise<boolean> {
  const [code] = (await once(child, 'exit')) as [number | null]
  return code === 0
}

/** Signals the tests and every command that they started; false once none is left. */
function signalTests(signal: NodeJS.Signals | 0): boolean {
  try {
    return tests.pid !== undefined && process.kill(-tests.pid, signal)
  } catch {
    return false
  }
}
