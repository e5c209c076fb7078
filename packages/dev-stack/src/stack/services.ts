import { defined, pause } from '@cashflow/async'
import { choosePort, freePorts } from '../ports.ts'
import { describeExit } from '../processes/daemon.ts'
import type { Running } from '../processes/keep-running.ts'
import { type LogLine, type ServiceCommand, startServiceProcess } from '../processes/service-process.ts'
import { StartError } from '../start-error.ts'
import { type ConsoleSettings, consoleSettings, WITHOUT_CONSOLE } from './console-settings.ts'
import { type ServiceName, type StackContext, startTogether } from './context.ts'
import { localUrl } from './local-url.ts'
import { createPauses } from './pauses.ts'
import type { Servers } from './servers.ts'
import { webhookSettings } from './webhook-settings.ts'

interface Planned {
  name: ServiceName
  label: string
  command: Pick<ServiceCommand, 'file' | 'args' | 'cwd' | 'env'>
  /** Port of its admin server. It stays the same when the service is restarted. */
  adminPort: number
  /** A URL that must answer GET with 200 before the service counts as ready. */
  healthUrl?: string | undefined
}

/** Longer than a worker, the slowest service, takes to stop: `PROVIDER_DEADLINE_MS`, a minute at most, and 15 seconds. */
const STOP_PATIENCE_MS = 80_000
const SERVICES: readonly ServiceName[] = ['api', 'relay', 'worker', 'webhooks']
const ADMIN_HOST = '127.0.0.1'
const HEALTH_RETRY_MS = 100
const HEALTH_ANSWER_MS = 5_000

export type Services = Awaited<ReturnType<typeof startServices>>

/** Settings of some services, in addition to those of all. */
export type OwnSettings = Partial<Record<ServiceName, Readonly<Record<string, string>>>>

/** Starts all services, and resolves when all are ready. */
export async function startServices(context: StackContext, servers: Servers, ownSettings: OwnSettings) {
  const { settings, say, printer, supervise, onSpawn, signal } = context
  const ports = await apiPorts(context)
  const operators = await consoleSettings(context, ports)
  const planned = await plan(context, servers, { ports, operators, ownSettings })
  const pauses = createPauses(printer)
  say(`starting ${planned.map(({ label }) => label).join(', ')}`)
  const kept = await startTogether(
    planned.map(({ name, label, command, healthUrl }) => (failed: AbortSignal) => {
      const onLine = (line: string, parsed: LogLine | undefined) => {
        printer.print(label, line)
        pauses.onLine(name, label, parsed)
      }
      const start = (aborted: AbortSignal) => {
        pauses.onStart(label)
        const own = { ...command, name: label, output: { onLine }, onSpawn: (pid: number) => onSpawn(pid, name) }
        return startReady(own, healthUrl, aborted)
      }
      return supervise(label, start, failed)
    }),
    signal,
  )
  const processesOf = (wanted: ServiceName) => kept.filter((_process, index) => planned[index]?.name === wanted)
  const pidsOf = (wanted: ServiceName) => processesOf(wanted).flatMap((process) => process.pid() ?? [])
  const adminUrlsOf = (wanted: ServiceName) =>
    planned.filter(({ name }) => name === wanted).map(({ adminPort }) => `http://${ADMIN_HOST}:${adminPort}`)
  return {
    apiUrls: ports.map((port) => apiUrl(settings, port)),
    consoleUrl: operators.url,
    adminUrls: ofEach(adminUrlsOf),
    pauses: pauses.inForce,
    processesOf,
    pids: () => ofEach(pidsOf),
    async stop() {
      await Promise.all(kept.map((process) => process.stop()))
    },
  }
}

function ofEach<Value>(read: (name: ServiceName) => Value): Record<ServiceName, Value> {
  return Object.fromEntries(SERVICES.map((name) => [name, read(name)])) as Record<ServiceName, Value>
}

async function plan(
  context: StackContext,
  servers: Servers,
  { ports, operators, ownSettings }: { ports: number[]; operators: ConsoleSettings; ownSettings: OwnSettings },
): Promise<Planned[]> {
  const { commands, env, cwd, settings, say } = context
  const ofWebhooks = webhookSettings(context)
  const counts = ofWebhooks ? context.counts : { ...context.counts, webhooks: 0 }
  if (!ofWebhooks) say('no SECRETS_KEY is set, and none is made with SANDBOX=no: webhooks are off')
  const leftPorts = (await freePorts(counts.api + counts.relay + counts.worker + counts.webhooks)).values()
  const shared = {
    ...env,
    DATABASE_URL: servers.urls.database_url,
    RABBITMQ_URL: servers.urls.rabbitmq_url,
    HOST: settings.host,
    // Services log `ready` at info. The printer filters the lines by the user's level.
    LOG_LEVEL: settings.logLevel === 'debug' ? 'debug' : 'info',
  }
  return SERVICES.flatMap((name) =>
    Array.from({ length: counts[name] }, (_, index): Planned => {
      const label = counts[name] > 1 ? `${name} ${index + 1}` : name
      const adminPort = defined(leftPorts.next().value, `admin port of ${label}`)
      const sends = name === 'api' || name === 'webhooks'
      const own = {
        ...shared,
        ...(sends && ofWebhooks),
        ...ownSettings[name],
        ADMIN_HOST,
        ADMIN_PORT: String(adminPort),
      }
      const command = { ...commands[name], cwd, env: own }
      if (name !== 'api') return { name, label, command, adminPort }
      const port = defined(ports[index], `port of ${label}`)
      // Over HTTPS this process may not know the authority, or the certificate may be for another name.
      const healthUrl = settings.apiScheme === 'http' ? `${apiUrl(settings, port)}/health` : undefined
      const ofApi = { ...own, PORT: String(port), ...(index === 0 ? operators.env : WITHOUT_CONSOLE) }
      return { name, label, command: { ...command, env: ofApi }, adminPort, healthUrl }
    }),
  )
}

/**
 * Starts a service, and resolves when it has logged `ready` and is healthy. There is no deadline: a service waits for
 * its servers, and logs that it waits.
 */
async function startReady(
  command: Omit<ServiceCommand, 'outlive'>,
  healthUrl: string | undefined,
  signal: AbortSignal,
): Promise<Running> {
  const service = startServiceProcess({ ...command, outlive: true })
  const stop = () => service.stop(STOP_PATIENCE_MS)
  try {
    await service.logged('ready', { timeoutMs: Number.POSITIVE_INFINITY, signal })
    while (healthUrl !== undefined && service.isRunning() && !(await isHealthy(healthUrl))) {
      await pause(HEALTH_RETRY_MS, signal)
      signal.throwIfAborted()
    }
    if (service.isRunning()) return { pid: service.pid, exited: service.exited, stop }
  } catch (error) {
    if (service.isRunning()) {
      await stop()
      throw error
    }
  }
  throw new StartError(`${command.name} ended before it was ready (${describeExit(await service.exited)})`)
}

async function isHealthy(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(HEALTH_ANSWER_MS) }).catch(() => undefined)
  await response?.body?.cancel()
  return response?.ok ?? false
}

/** The first API gets the port of the settings, the others the ports after it, if free. With 0 each gets a free one. */
async function apiPorts({ counts, settings, say }: StackContext): Promise<number[]> {
  const { port: first } = settings
  if (first === 0) return freePorts(counts.api)
  const ports: number[] = []
  for (let index = 0; index < counts.api; index++) {
    ports.push(await choosePort(index === 0 ? 'the API' : `API ${index + 1}`, first + index, say))
  }
  return ports
}

/** The API's URL on this machine. */
function apiUrl({ host, apiScheme }: StackContext['settings'], port: number): string {
  return localUrl(apiScheme, host, port)
}
