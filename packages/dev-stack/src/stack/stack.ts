import type { LogPrinter } from '../log-printer.ts'
import { isPortFree } from '../ports.ts'
import type { StackSettings } from '../settings.ts'
import { StartError } from '../start-error.ts'
import { claimStateFolder } from './claim.ts'
import { startServers } from './servers.ts'
import { startServices } from './services.ts'
import { type StackFile, writeStackFile } from './stack-file.ts'
import { createSupervisor, type Supervisor } from './supervisor.ts'

export type Command = { file: string; args: string[] }
export type ServiceName = 'api' | 'relay' | 'worker'

export type StackOptions = {
  /** Holds the data of our servers, and what is known of the running stack. */
  stateDir: string
  settings: StackSettings
  /** Where our own servers listen, where these are free. */
  serverPorts: { postgres: number; rabbitmq: number; management: number }
  counts: Readonly<Record<ServiceName, number>>
  commands: Readonly<Record<ServiceName | 'migrate', Command>>
  env: NodeJS.ProcessEnv
  cwd: string
  /** Start from empty data. */
  fresh: boolean
  printer: LogPrinter
  /** Told what is being done. */
  say: (line: string) => void
  /** Gives up starting. */
  signal: AbortSignal
}

/** What the parts of a stack are made with. */
export type StackContext = StackOptions & Supervisor

export type Stack = {
  /** What stack.json says. */
  file(): StackFile
  /** Services first, then the broker, then the database. */
  stop(): Promise<void>
}

/**
 * Resolves when everything is ready; rejects once everything that it had started is stopped.
 *
 * @throws StartError for what the user can put right
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { given, port, portIsGiven } = options.settings
  if (options.fresh && (given.databaseUrl || given.rabbitmqUrl)) {
    throw new StartError(
      '--fresh empties the servers that npm start runs, but DATABASE_URL or RABBITMQ_URL names another',
    )
  }
  const claim = await claimStateFolder(options.stateDir, options.say)
  const stops = [async () => claim.release()]
  const stop = async () => {
    for (let next = stops.pop(); next; next = stops.pop()) await next()
  }
  try {
    if (portIsGiven && port !== 0 && !(await isPortFree(port)))
      throw new StartError(`port ${port}, which PORT asks for, is taken, or not for this user to listen on`)
    let onChange = () => {}
    const supervisor = createSupervisor(options.printer, claim.register, () => onChange())
    const context = { ...options, ...supervisor }
    const servers = await startServers(context)
    stops.push(servers.stop)
    const services = await startServices(context, servers)
    stops.push(services.stop)

    const file = () => ({
      api: services.urls,
      ...servers.urls,
      processes: { ...servers.pids(), ...services.pids() },
    })
    onChange = () => writeStackFile(claim.stackFile, file())
    onChange()
    stops.push(async () => {
      onChange = () => {}
    })
    return { file, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
