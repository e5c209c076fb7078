import { chmodSync, readFileSync } from 'node:fs'
import { DELIVERY_SIMULATIONS, SIMULATIONS } from '@cashflow/domain'
import type * as z from 'zod'
import type { StackContext } from '../stack/context.ts'
import type { Servers } from '../stack/servers.ts'
import type { OwnSettings, Services } from '../stack/services.ts'
import type { FaultKind, FaultPart } from './fault-kinds.ts'
import { createFaults, type FaultState, type FaultTarget } from './faults.ts'
import { emptyFiles, type SandboxFiles, sandboxFiles } from './files.ts'
import { findObstacle } from './obstacle.ts'
import { SandboxRefusal } from './refusal.ts'
import { faultBody, runBody } from './requests.ts'
import { createRunner, type RunState } from './runner.ts'
import { listenOnSocket, type Routes } from './server.ts'
import { socketPath } from './socket-path.ts'
import { type CounterState, startWatch } from './watch.ts'

/** The answer to `GET /`. */
export interface SandboxState {
  /** Why no payments can be made. Null if they can. */
  readonly obstacle: string | null
  readonly run: RunState | null
  readonly counter: CounterState
  /** Faults in progress. */
  readonly faults: readonly FaultState[]
  /** The faults that are possible. A server that this stack did not start cannot be broken. */
  readonly kinds: readonly FaultKind[]
  /** Values that `metadata.simulate` may have. */
  readonly simulations: readonly string[]
  /** False with another provider than the simulated one: then no charge is known, and `doubled` counts references only. */
  readonly charges_known: boolean
}

/** Where a sandbox keeps its files and listens. */
export interface SandboxPlaces {
  readonly files: SandboxFiles
  readonly socket: string
  readonly env: OwnSettings
}

/** Prepares the files of a new count. Undefined outside of a sandbox, and where a socket's path would be too long. */
export function prepareSandbox({ stateDir, cwd, settings, say }: StackContext): SandboxPlaces | undefined {
  if (!settings.sandbox) return undefined
  const socket = socketPath(stateDir, cwd)
  if (socket === undefined) {
    say('the console has no sandbox panel: the path of this checkout is too long for a socket')
    return undefined
  }
  chmodSync(stateDir, 0o700)
  const files = sandboxFiles(stateDir)
  emptyFiles(files)
  const worker = settings.isProviderSimulated ? { PROVIDER_CHARGES_LOG: files.charges } : {}
  return { files, socket, env: { api: { CONSOLE_SANDBOX_SOCKET: socket }, worker } }
}

/** Makes payments and breaks parts of a running stack, as requests on its socket ask. */
export async function startSandbox(places: SandboxPlaces, context: StackContext, servers: Servers, services: Services) {
  const { isProviderSimulated } = context.settings
  const { log } = context.printer
  const { files, socket } = places
  const targets = targetsOf(servers, services)
  const faults = createFaults({ targets, freezable: freezableOf(targets), log })
  const runner = createRunner(services.apiUrls, files.answers, log)
  const databaseUrl = servers.urls.database_url
  const watch = startWatch({ files, databaseUrl, quietSince: faults.quietSince, log })
  const obstacle = await findObstacle(String(services.apiUrls[0]))
  const simulations: readonly string[] = isProviderSimulated ? SIMULATIONS : DELIVERY_SIMULATIONS

  const state = (): SandboxState => ({
    ...{ obstacle, run: runner.state(), counter: watch.state(), faults: faults.state(), kinds: faults.kinds },
    ...{ simulations, charges_known: isProviderSimulated },
  })
  const routes: Routes = {
    'GET /': state,
    'POST /payments': (body) => {
      if (obstacle !== null) throw new SandboxRefusal(409, obstacle)
      const plan = parsed(runBody, body)
      if (plan.simulate !== null && !simulations.includes(plan.simulate))
        throw new SandboxRefusal(422, `This provider does not allow simulate ${plan.simulate}.`)
      runner.start(plan)
      return state()
    },
    'DELETE /payments': () => {
      runner.stop()
      return state()
    },
    'POST /faults': async (body) => {
      await faults.begin(parsed(faultBody, body))
      return state()
    },
    'DELETE /counter': () => {
      watch.reset()
      return state()
    },
  }
  const server = await listenOnSocket(socket, routes, log)
  return {
    /** Undoes the faults first: a process that is stopped would not end. */
    async stop(): Promise<void> {
      await faults.close()
      await server.stop()
      await runner.close()
      await watch.stop()
    },
  }
}

function targetsOf(servers: Servers, services: Services): Record<FaultPart, readonly FaultTarget[]> {
  const server = (name: 'postgres' | 'rabbitmq'): FaultTarget[] =>
    servers.pids()[name] === undefined ? [] : [{ pid: () => servers.pids()[name] }]
  return {
    worker: services.processesOf('worker'),
    relay: services.processesOf('relay'),
    rabbitmq: server('rabbitmq'),
    postgresql: server('postgres'),
  }
}

/** A container's processes are no descendants of ours. Elsewhere than on Linux, no descendants are known. */
function freezableOf({ rabbitmq }: Record<FaultPart, readonly FaultTarget[]>): FaultPart[] {
  if (process.platform !== 'linux') return ['worker', 'relay']
  const pid = rabbitmq[0]?.pid()
  const isContainer = pid !== undefined && readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'docker'
  return ['worker', 'relay', 'postgresql', ...(isContainer ? [] : ['rabbitmq' as const])]
}

/** @throws SandboxRefusal with 422 that names the wrong members */
function parsed<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const faults = result.error.issues.map(({ path, message }) => `${path.join('.') || 'The body'} ${message}`)
  throw new SandboxRefusal(422, `${faults.slice(0, 5).join('; ')}.`)
}
