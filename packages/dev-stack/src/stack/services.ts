import { freePorts } from '../ports.ts'
import type { KeptRunning, Running } from '../processes/keep-running.ts'
import { type ServiceCommand, startService } from '../services/service.ts'
import { allOrNone } from './all-or-none.ts'
import { choosePort } from './choose-port.ts'
import type { Servers } from './servers.ts'
import type { ServiceName, StackContext } from './stack.ts'

export type Services = {
  urls: string[]
  pids(): Record<ServiceName, number[]>
  stop(): Promise<void>
}

type Planned = { name: ServiceName; label: string; command: ServiceCommand }

/** Resolves when every one of them is ready. */
export async function startServices(context: StackContext, servers: Servers): Promise<Services> {
  const { settings, say, printer, supervise, onSpawn, signal } = context
  const ports = await apiPorts(context)
  const planned = plan(context, servers, ports)
  const kept = new Map<Planned, KeptRunning<Running>>()
  const stop = async () => {
    await Promise.all([...kept.values()].map((process) => process.stop()))
  }
  say(`starting ${planned.map(({ label }) => label).join(', ')}`)
  try {
    await allOrNone(
      planned.map((service) => async (until) => {
        const { name, label, command } = service
        const hooks = { onLine: (line: string) => printer.print(label, line), onSpawn: onSpawn(name) }
        const process = await supervise(label, (aborted) => startService(label, command, hooks, aborted), until)
        kept.set(service, process)
      }),
      signal,
    )
  } catch (error) {
    await stop()
    throw error
  }
  const pidsOf = (wanted: ServiceName) =>
    planned.filter(({ name }) => name === wanted).flatMap((service) => kept.get(service)?.current()?.pid ?? [])
  return {
    urls: ports.map((port) => apiUrl(settings.host, port)),
    pids: () => ({ api: pidsOf('api'), relay: pidsOf('relay'), worker: pidsOf('worker') }),
    stop,
  }
}

function plan({ counts, commands, env, cwd, settings }: StackContext, servers: Servers, ports: number[]): Planned[] {
  const shared = {
    ...env,
    DATABASE_URL: servers.urls.database_url,
    RABBITMQ_URL: servers.urls.rabbitmq_url,
    HOST: settings.host,
    // `ready` is logged at info. What the user wants to see is decided where it is printed.
    LOG_LEVEL: settings.logLevel === 'debug' ? 'debug' : 'info',
  }
  return (['api', 'relay', 'worker'] as const).flatMap((name) =>
    Array.from({ length: counts[name] }, (_, index): Planned => {
      const label = counts[name] > 1 ? `${name} ${index + 1}` : name
      const command = { ...commands[name], cwd, env: shared }
      if (name !== 'api') return { name, label, command }
      const port = ports[index] as number
      const healthUrl = `${apiUrl(settings.host, port)}/health`
      return { name, label, command: { ...command, env: { ...shared, PORT: String(port) }, healthUrl } }
    }),
  )
}

/** The first API has the port of the settings, the next ones those after it, where they are free. With 0 each has any. */
async function apiPorts({ counts, settings, say }: StackContext): Promise<number[]> {
  const { port: first } = settings
  if (first === 0) return freePorts(counts.api)
  const ports: number[] = []
  for (let index = 0; index < counts.api; index++) {
    ports.push(await choosePort(index === 0 ? 'the API' : `API ${index + 1}`, first + index, say))
  }
  return ports
}

/** Where it can be reached from this machine. */
function apiUrl(host: string, port: number): string {
  const local = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `http://${local.includes(':') ? `[${local}]` : local}:${port}`
}
