import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type Daemon, startDaemon } from '../processes/daemon.ts'
import type { RabbitmqPrograms } from './rabbitmq-programs.ts'
import {
  type Launcher,
  type LaunchOptions,
  launchCommand,
  logFileIn,
  type RabbitmqOptions,
  type RabbitmqPorts,
  type RabbitmqServer,
} from './rabbitmq-server.ts'

/**
 * RabbitMQ 3.10 closes its stores within a second, then waits 5 s for an event handler that has ended. A confirmed
 * message is on disk before that, as it is after SIGKILL.
 */
const STOP_PATIENCE_MS = 4_000

/** The properties that distinguish one broker of this machine from another. */
export interface BrokerIdentity {
  /** The Erlang node's name. RabbitMQ keeps its data under this name, so it must be the same at every start. */
  nodeName: string
  /** Distinguishes it from a foreign broker on the same port. All nodes of a cluster set the same name. */
  clusterName: string
  /** Folder of the Erlang cookie. Brokers and their rabbitmqctl talk only to those with the same cookie. */
  cookieFolder: string
  /** Lines of rabbitmq.conf in addition to those that every broker of ours has. */
  settings: string[]
}

/** Returns a launcher of one private broker, which shares neither name server nor cookie with another. */
export function launchNode(programs: RabbitmqPrograms): Launcher {
  return async (ports, options) => {
    const dir = resolve(options.dir)
    const epmd = await startEpmd(programs, ports.epmd, { ...options, dir })
    const clusterName = `cashflow-${ports.amqp}-${process.pid}`
    const identity = { nodeName: 'cashflow@localhost', clusterName, cookieFolder: dir, settings: [] }
    const cleanUp = () => epmd.stop([])
    return launchBroker(programs, identity, ports, { ...options, cleanUp }).catch(async (error) => {
      await cleanUp()
      throw error
    })
  }
}

/** Starts Erlang's name server. A broker without one starts it itself, as a daemon that outlives the broker. */
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

/** Starts a broker that registers with a running name server. */
export function launchBroker(
  programs: RabbitmqPrograms,
  identity: BrokerIdentity,
  ports: RabbitmqPorts,
  options: LaunchOptions,
): Promise<RabbitmqServer> {
  const dir = resolve(options.dir)
  const env = configure(programs, identity, dir, ports)
  const ctl = async (...args: string[]) =>
    (await promisify(execFile)(join(programs.scripts, 'rabbitmqctl'), args, { env, cwd: dir })).stdout
  const { clusterName } = identity
  const file = join(programs.scripts, 'rabbitmq-server')
  return launchCommand({ file, args: [], env, clusterName, ctl, stopPatienceMs: STOP_PATIENCE_MS }, ports, options)
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
    // Erlang reads the cookie there, or creates one.
    HOME: cookieFolder,
    LANG: 'C.UTF-8',
    // With this the script becomes the broker instead of waiting for it, so that its pid is the broker's pid.
    RUNNING_UNDER_SYSTEMD: 'true',
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_CONFIG_FILE: join(dir, 'rabbitmq'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(dir, 'data'),
    RABBITMQ_LOG_BASE: join(dir, 'log'),
    // Not necessarily unique on this machine, since epmd is private.
    RABBITMQ_NODENAME: nodeName,
    RABBITMQ_DIST_PORT: String(ports.distribution),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
  }
}
