import { isPortFree } from '../ports.ts'
import { StartError } from '../start-error.ts'
import { createSupervisor, type StackOptions } from './context.ts'
import { startServers } from './servers.ts'
import { startServices } from './services.ts'
import { claimStateFolder, type StackFile } from './state-folder.ts'

/**
 * Resolves when everything is ready. Rejects once everything that it had started is stopped.
 *
 * @throws StartError for what the user can correct
 */
export async function startStack(options: StackOptions) {
  const { given, port, portIsGiven } = options.settings
  if (options.fresh && (given.databaseUrl || given.rabbitmqUrl)) {
    throw new StartError(
      '--fresh empties the servers that npm start runs, but DATABASE_URL or RABBITMQ_URL names another',
    )
  }
  const folder = await claimStateFolder(options.stateDir, options.say)
  const stops = [async () => folder.release()]
  /** Stops the services first, then the broker, then the database. */
  const stop = async () => {
    for (let next = stops.pop(); next; next = stops.pop()) await next()
  }
  try {
    if (portIsGiven && port !== 0 && !(await isPortFree(port)))
      throw new StartError(`port ${port}, which PORT asks for, is taken, or forbidden for this user`)
    let onChange = () => {}
    const supervisor = createSupervisor(options.printer, folder.register, () => onChange())
    const context = { ...options, ...supervisor }
    const servers = await startServers(context)
    stops.push(servers.stop)
    const services = await startServices(context, servers)
    stops.push(services.stop)

    /** The content of stack.json. */
    const file = (): StackFile => ({
      api: services.apiUrls,
      ...servers.urls,
      processes: { ...servers.pids(), ...services.pids() },
    })
    onChange = () => folder.writeStackFile(file())
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
