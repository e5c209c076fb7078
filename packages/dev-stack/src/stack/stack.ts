import { isPortFree } from '../ports.ts'
import { prepareSandbox, startSandbox } from '../sandbox/sandbox.ts'
import { StartError } from '../start-error.ts'
import { createSupervisor, type StackOptions } from './context.ts'
import { startServers } from './servers.ts'
import { startServices } from './services.ts'
import { claimStateFolder, type StackFile } from './state-folder.ts'

export type Stack = Awaited<ReturnType<typeof startStack>>

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
  await using unfinished = new AsyncDisposableStack()
  const folder = await claimStateFolder(options.stateDir, options.say, options.temporary)
  unfinished.defer(folder.release)
  if (portIsGiven && port !== 0 && !(await isPortFree(port)))
    throw new StartError(`port ${port}, which PORT asks for, is taken, or forbidden for this user`)
  let onChange = () => {}
  const supervisor = createSupervisor(options.printer, folder.register, () => onChange())
  const context = { ...options, ...supervisor }
  const servers = await startServers(context)
  unfinished.defer(servers.stop)
  const places = prepareSandbox(context)
  const services = await startServices(context, servers, places?.env ?? {})
  unfinished.defer(services.stop)
  if (places) unfinished.defer((await startSandbox(places, context, servers, services)).stop)

  /** The content of stack.json. */
  const file = (): StackFile => ({
    api: services.apiUrls,
    console_url: services.consoleUrl,
    admin: services.adminUrls,
    ...servers.urls,
    processes: { ...servers.pids(), ...services.pids() },
  })
  onChange = () => folder.writeStackFile(file())
  onChange()
  unfinished.defer(() => {
    onChange = () => {}
  })
  const stack = unfinished.move()
  /** Stops the services first, then the broker, then the database. */
  return { file, pauses: services.pauses, stop: () => stack.disposeAsync() }
}
