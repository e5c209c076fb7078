import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { stopLeftovers } from '../processes/leftovers.ts'
import { tryLock } from '../processes/lock.ts'
import { sendSignal } from '../processes/process-table.ts'
import { openRegister, type Register } from '../processes/register.ts'
import { StartError } from '../start-error.ts'
import { readStackFile, removeStackFile } from './stack-file.ts'

/** The state folder is ours alone until release, and nothing of an earlier run is left running. */
export type Claim = { register: Register; stackFile: string; release(): void }

/** @throws StartError if a stack is running there */
export async function claimStateFolder(stateDir: string, say: (line: string) => void): Promise<Claim> {
  mkdirSync(stateDir, { recursive: true })
  const stackFile = join(stateDir, 'stack.json')
  const lock = tryLock(join(stateDir, 'lock'))
  if (!lock) {
    const [api] = readStackFile(stackFile)?.api ?? []
    throw new StartError(`Cashflow is already running in this checkout${api ? `: ${api}` : ' (it is still starting)'}`)
  }
  try {
    const register = openRegister(join(stateDir, 'processes.json'))
    // Until we are ready there is nothing to tell, and a killed stack's file tells of processes that are gone.
    removeStackFile(stackFile)
    await stopLeftovers(register.running(), say)
    register.clear()
    // Runs also when this process ends by an error or by `process.exit`. Only SIGKILL leaves processes and the file.
    const onExit = () => {
      removeStackFile(stackFile)
      for (const { pid } of register.running()) sendSignal(-pid, 'SIGKILL')
    }
    process.on('exit', onExit)
    return {
      register,
      stackFile,
      release() {
        process.off('exit', onExit)
        removeStackFile(stackFile)
        register.clear()
        lock.release()
      },
    }
  } catch (error) {
    lock.release()
    throw error
  }
}
