import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { startDaemon } from '../processes/daemon.ts'
import { descendantsOf, untilGone } from '../processes/descendants.ts'
import type { ProcessIdentity } from '../processes/identity.ts'
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

/** One private broker: nothing of it is shared with another on this machine, neither name server nor cookie. */
export function launchNode(programs: RabbitmqPrograms): Launcher {
  return (ports, options) => launch(programs, ports, options)
}

async function launch(
  programs: RabbitmqPrograms,
  ports: RabbitmqPorts,
  { dir: folder, onSpawn, outlive, signal }: RabbitmqOptions,
): Promise<Launch> {
  const dir = resolve(folder)
  const logFile = join(dir, 'rabbitmq.log')
  const name = `cashflow-${ports.amqp}-${process.pid}`
  const env = configure(programs, dir, ports, name)
  const surroundings = { env, cwd: dir, output: { file: logFile }, outlive }
  const logged = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0

  // Left to Erlang, epmd would be started as a daemon that outlives the broker.
  const epmd = await startDaemon({
    file: programs.epmd,
    args: ['-port', String(ports.epmd), '-address', '127.0.0.1'],
    ...surroundings,
    onSpawn: (pid) => onSpawn?.(pid, 'epmd'),
  })
  const broker = await startDaemon({
    file: join(programs.scripts, 'rabbitmq-server'),
    args: [],
    ...surroundings,
    onSpawn: (pid) => onSpawn?.(pid, 'rabbitmq'),
  })
  // The broker's helpers have sessions of their own. They end by themselves when it is gone, but not at once.
  let helpers: ProcessIdentity[] = []
  const exited = broker.exited.then(async (exit) => {
    await epmd.stop([])
    await untilGone(helpers)
    return exit
  })

  const deadline = Date.now() + START_DEADLINE_MS
  while (broker.isRunning() && Date.now() < deadline && !signal?.aborted) {
    helpers = descendantsOf(broker.pid)
    if (await isRabbitmqReady(ports, name)) return { outcome: 'ready', server: toServer() }
    await sleep(100)
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
      async stop() {
        await broker.stop([{ signal: 'SIGTERM', patienceMs: STOP_PATIENCE_MS }])
        await exited
      },
    }
  }
}

function configure(
  programs: RabbitmqPrograms,
  dir: string,
  ports: RabbitmqPorts,
  name: string,
): Record<string, string> {
  mkdirSync(dir, { recursive: true })
  writeFileSync(
    join(dir, 'rabbitmq.conf'),
    [
      `cluster_name = ${name}`,
      `listeners.tcp.local = 127.0.0.1:${ports.amqp}`,
      'management.tcp.ip = 127.0.0.1',
      `management.tcp.port = ${ports.management}`,
      'log.file = false',
      'log.console = true',
      '',
    ].join('\n'),
  )
  writeFileSync(join(dir, 'enabled_plugins'), '[rabbitmq_management].\n')
  return {
    PATH: programs.path,
    // The Erlang cookie's place: a broker of ours and its rabbitmqctl share it with nobody.
    HOME: dir,
    LANG: 'C.UTF-8',
    // The script then becomes the broker instead of waiting for it, so that the pid is the broker's.
    RUNNING_UNDER_SYSTEMD: 'true',
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_CONFIG_FILE: join(dir, 'rabbitmq'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(dir, 'data'),
    RABBITMQ_LOG_BASE: join(dir, 'log'),
    // The data belongs to the name, so the name is the same every time. It need not be unique: epmd is private.
    RABBITMQ_NODENAME: 'cashflow@localhost',
    RABBITMQ_DIST_PORT: String(ports.distribution),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
  }
}
