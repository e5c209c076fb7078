import { describeExit, startDaemon } from '../processes/daemon.ts'
import { StartError } from '../start-error.ts'
import type { StackContext } from './stack.ts'

const STOP_PATIENCE_MS = 10_000

/** A process of its own, as in production: services and migrations share nothing but the schema. */
export async function migrate(context: StackContext, databaseUrl: string, signal: AbortSignal): Promise<void> {
  const { commands, env, cwd, printer, say, onSpawn } = context
  signal.throwIfAborted()
  say('migrating the database')
  const migration = await startDaemon({
    ...commands.migrate,
    cwd,
    env: { ...env, DATABASE_URL: databaseUrl },
    output: { onLine: (line) => printer.print('migrate', line) },
    onSpawn: onSpawn('migrate'),
    outlive: true,
  })
  const stop = () => void migration.stop([{ signal: 'SIGTERM', patienceMs: STOP_PATIENCE_MS }])
  signal.addEventListener('abort', stop, { once: true })
  const exit = await migration.exited
  signal.removeEventListener('abort', stop)
  signal.throwIfAborted()
  if (exit.code !== 0) throw new StartError(`the database could not be migrated (${describeExit(exit)})`)
}
