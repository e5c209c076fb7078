import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Daemon, startDaemon } from '../processes/daemon.ts'
import type { ProcessIdentity } from '../processes/process-table.ts'
import { descendantsOf, untilGone } from '../processes/process-table.ts'
import type { RabbitmqOptions, RabbitmqServer } from './rabbitmq.ts'
import type { RabbitmqPrograms } from './rabbitmq-installed.ts'
import type { Launch, Launcher, RabbitmqPorts } from './rabbitmq-launcher.ts'
import { isRabbitmqReady } from './rabbitmq-ready.ts'

const START_DEADLINE_MS = 120_000
/**
 * RabbitMQ 3.10 closes its stores within a second, then waits 5 s for an event handler that has gone. What it has confirmed
 * is on disk, as after any kill -9.
 */
const STOP_PATIENCE_MS = 4_000
const SAID_BYTES_MAX = 4_000

/** What makes one broker of those on this machine. */
export type BrokerIdentity = {
  /** Erlang's name of it. The data belongs to the name, so the name is the same every time. */
  nodeName: string
  /** Tells it from a broker of somebody else that answers in its place. A cluster has one, which each of its nodes sets. */
  clusterName: string
  /** Holds the Erlang cookie: brokers and their rabbitmqctl talk to those that have the same. */
  cookieFolder: string
  /** Lines of rabbitmq.conf beside those that every broker of ours has. */
  settings: string[]
}

/** One private broker: nothing of it is shared with another on this machine, neither name server nor cookie. */
export function launchNode(programs: RabbitmqPrograms): Launcher {
  return async (ports, options) => {
    const dir = resolve(options.dir)
    const epmd = await startEpmd(programs, ports.epmd, { ...options, dir })
    const clusterName = `cashflow-${ports.amqp}-${process.pid}`
    const identity = { nodeName: 'cashflow@localhost', clusterName, cookieFolder: dir, settings: [] }
    const launch = await launchBroker(programs, identity, ports, options).catch(async (error) => {
      await epmd.stop([])
      throw error
    })
    if (launch.outcome !== 'ready') {
      await epmd.stop([])
      return launch
    }
    const { server } = launch
    const exited = server.exited.then(async (exit) => {
      await epmd.stop([])
      return exit
    })
    const stop: typeof server.stop = async (options) => {
      await server.stop(options)
      await exited
    }
    return { outcome: 'ready', server: { ...server, exited, stop } }
  }
}

/** Erlang's name server. Left to Erlang, it would be started as a daemon that outlives the broker. */
export function startEpmd(
  programs: RabbitmqPrograms,
  port: number,
  { dir, onSpawn, outlive }: Pick<RabbitmqOptions, 'dir' | 'onSpawn' | 'outlive'>,
): Promise<Daemon> {
  mkdirSync(dir, { recursive: true })
  return startDaemon({
    file: programs.epmd,
    args: ['-port', String(port), '-address', '127.0.0.1'],
    env: { PATH: programs.path },
    cwd: dir,
    output: { file: logFileIn(dir) },
    outlive,
    onSpawn: (pid) => onSpawn?.(pid, 'epmd'),
  })
}

/** A broker, by a name server that runs already. */
export async function launchBroker(
  programs: RabbitmqPrograms,
  identity: BrokerIdentity,
  ports: RabbitmqPorts,
  { dir: folder, onSpawn, outlive, signal, deadlineMs = START_DEADLINE_MS }: RabbitmqOptions & { deadlineMs?: number },
): Promise<Launch> {
  const dir = resolve(folder)
  const logFile = logFileIn(dir)
  const env = configure(programs, identity, dir, ports)
  const logged = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0
  const broker = await startDaemon({
    file: join(programs.scripts, 'rabbitmq-server'),
    args: [],
    env,
    cwd: dir,
    output: { file: logFile },
    outlive,
    onSpawn: (pid) => onSpawn?.(pid, 'rabbitmq'),
  })
  // The broker's helpers have sessions of their own. They end by themselves when it is gone, but not at once.
  let helpers: ProcessIdentity[] = []
  const exited = broker.exited.then(async (exit) => {
    await untilGone(helpers)
    return exit
  })

  const deadline = Date.now() + deadlineMs
  while (broker.isRunning() && Date.now() < deadline && !signal?.aborted) {
    helpers = descendantsOf(broker.pid)
    if (await isRabbitmqReady(ports, identity.clusterName)) return { outcome: 'ready', server: toServer() }
    await sleep(250)
  }
  await broker.stop([])
  await exited
  const said = readFileSync(logFile).subarray(logged).toString()
  const outcome = /eaddrinuse|already in use/i.test(said) ? 'port taken' : 'failed'
  return { outcome, logFile, said: said.slice(-SAID_BYTES_MAX) }

  function toServer(): RabbitmqServer {
    return {
      url: `amqp://guest:guest@127.0.0.1:${ports.amqp}/`,
      managementUrl: `http://guest:guest@127.0.0.1:${ports.management}`,
      port: ports.amqp,
      managementPort: ports.management,
      pid: broker.pid,
      logFile,
      exited,
      async ctl(...args) {
        const { stdout } = await promisify(execFile)(join(programs.scripts, 'rabbitmqctl'), args, { env, cwd: dir })
        return stdout
      },
      async stop({ patienceMs = STOP_PATIENCE_MS } = {}) {
        await broker.stop([{ signal: 'SIGTERM', patienceMs }])
        await exited
      },
    }
  }
}

function logFileIn(dir: string): string {
  return join(dir, 'rabbitmq.log')
}

function configure(
  programs: RabbitmqPrograms,
  { nodeName, clusterName, cookieFolder, settings }: BrokerIdentity,
  dir: string,
  ports: RabbitmqPorts,
): Record<string, string> {
  mkdirSync(dir, { recursive: true })
  writeFileSync(
    join(dir, 'rabbitmq.conf'),
    [
      `cluster_name = ${clusterName}`,
      `listeners.tcp.local = 127.0.0.1:${ports.amqp}`,
      'management.tcp.ip = 127.0.0.1',
      `management.tcp.port = ${ports.management}`,
      'log.file = false',
      'log.console = true',
      ...settings,
      '',
    ].join('\n'),
  )
  writeFileSync(join(dir, 'enabled_plugins'), '[rabbitmq_management].\n')
  return {
    PATH: programs.path,
    // Where Erlang looks for the cookie, and makes one.
    HOME: cookieFolder,
    LANG: 'C.UTF-8',
    // The script then becomes the broker instead of waiting for it, so that the pid is the broker's.
    RUNNING_UNDER_SYSTEMD: 'true',
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_CONFIG_FILE: join(dir, 'rabbitmq'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(dir, 'data'),
    RABBITMQ_LOG_BASE: join(dir, 'log'),
    // It need not be unique on this machine: epmd is private.
    RABBITMQ_NODENAME: nodeName,
    RABBITMQ_DIST_PORT: String(ports.distribution),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
  }
}
