import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { errorMessage } from '@cashflow/async'
import { readIfThere, writeFileAtomically } from '../files.ts'
import { tryLock } from '../processes/lock.ts'
import { sendSignal } from '../processes/process-table.ts'
import { openRegister, stopLeftovers } from '../processes/register.ts'
import { removePostgresData } from '../servers/postgres.ts'
import { StartError } from '../start-error.ts'
import type { ServiceName } from './context.ts'

/** The content of stack.json, for other programs. It has no process for a server that the settings name. */
export interface StackFile {
  api: string[]
  /** URL of the console, with a login token in its fragment. */
  console_url: string
  /** URLs of the admin servers, with /metrics, /livez and /readyz. */
  admin: Readonly<Record<ServiceName, readonly string[]>>
  database_url: string
  rabbitmq_url: string
  rabbitmq_management_url: string
  processes: { postgres?: number; rabbitmq?: number } & Record<ServiceName, number[]>
}

/**
 * Claims the folder, which then belongs to this process alone until `release()`. Stops all processes that an earlier run left behind.
 *
 * @param temporary whether the end of this process, or `release()`, deletes the folder and all data
 * @throws StartError if a stack is running there, or if this user may not write to the folder
 */
export async function claimStateFolder(stateDir: string, say: (line: string) => void, temporary = false) {
  const stackFile = join(stateDir, 'stack.json')
  const removeStackFile = () => rmSync(stackFile, { force: true })
  const lock = lockFolder(stateDir)
  if (!lock) {
    const [api] = readStackFile(stackFile)?.api ?? []
    throw new StartError(`Cashflow is already running in this checkout${api ? `: ${api}` : ' (it is still starting)'}`)
  }
  using unfinished = new DisposableStack()
  unfinished.use(lock)
  const register = openRegister(join(stateDir, 'processes.json'))
  // Removed until this stack is ready: the file that a killed stack left names processes that have ended.
  removeStackFile()
  await stopLeftovers(register.running(), say)
  register.clear()
  const removeData = () => {
    if (!temporary) return
    removePostgresData(stateDir)
    rmSync(stateDir, { recursive: true, force: true, maxRetries: 3 })
  }
  // Runs also when this process ends by an error or by `process.exit`. Only SIGKILL leaves processes and the file.
  const onExit = () => {
    removeStackFile()
    for (const { pid } of register.running()) sendSignal(-pid, 'SIGKILL')
    removeData()
  }
  process.on('exit', onExit)
  unfinished.move()
  return {
    register,
    writeStackFile: (content: StackFile) => writeFileAtomically(stackFile, `${JSON.stringify(content, null, 2)}\n`),
    release() {
      process.off('exit', onExit)
      removeStackFile()
      register.clear()
      removeData()
      lock.release()
    },
  }
}

/** Undefined if another process has it. */
function lockFolder(stateDir: string): ReturnType<typeof tryLock> {
  try {
    mkdirSync(stateDir, { recursive: true })
    return tryLock(join(stateDir, 'lock'))
  } catch (error) {
    throw new StartError(`${stateDir} cannot be used: ${errorMessage(error)}. Run it in a checkout of your own`)
  }
}

/** Returns undefined if no stack is ready. */
export function readStackFile(file: string): StackFile | undefined {
  const content = readIfThere(file)
  return content === undefined ? undefined : (JSON.parse(content) as StackFile)
}
