import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { pause } from '@cashflow/async'
import { findOnPath } from '../files.ts'
import { startDaemon } from '../processes/daemon.ts'
import { StartError } from '../start-error.ts'
import { isRabbitmqReady } from './rabbitmq-management.ts'
import {
  type Launch,
  localUrls,
  OUTPUT_BYTES_MAX,
  type RabbitmqOptions,
  type RabbitmqPorts,
  type RabbitmqServer,
} from './rabbitmq-server.ts'

const IMAGE = 'rabbitmq:4-management'
const START_DEADLINE_MS = 120_000
const STOP_PATIENCE_MS = 15_000

const run = promisify(execFile)

export async function isDockerReachable(): Promise<boolean> {
  if (!findOnPath('docker')) return false
  return run('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: 5_000 }).then(
    () => true,
    () => false,
  )
}

/**
 * Starts a container. The broker's process is then Docker's client, which passes signals on. The container is removed
 * when the client ends.
 */
export async function launchInDocker(ports: RabbitmqPorts, options: RabbitmqOptions): Promise<Launch> {
  const { onSpawn, outlive, signal } = options
  const dir = resolve(options.dir)
  const name = `cashflow-${createHash('sha256').update(dir).digest('hex').slice(0, 12)}`
  const logFile = join(dir, 'rabbitmq.log')
  mkdirSync(join(dir, 'docker'), { recursive: true })
  await fetchImage(options)
  await removeContainer(name) // An earlier run that was killed leaves its container.
  const logged = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0
  const client = await startDaemon({
    file: 'docker',
    args: [
      ...['run', '--rm', '--name', name],
      // RabbitMQ keeps its data under the node's name, which contains the host's name.
      ...['--hostname', 'cashflow'],
      ...['--mount', `type=bind,source=${join(dir, 'docker')},target=/var/lib/rabbitmq`],
      ...['--publish', `127.0.0.1:${ports.amqp}:5672`, '--publish', `127.0.0.1:${ports.management}:15672`],
      ...asThisUser(),
      IMAGE,
    ],
    env: process.env,
    cwd: dir,
    output: { file: logFile },
    onSpawn: (pid) => onSpawn?.(pid, 'rabbitmq'),
    outlive,
  })
  const exited = client.exited.then(async (exit) => {
    await removeContainer(name)
    return exit
  })

  const urls = localUrls(ports)
  const deadline = Date.now() + START_DEADLINE_MS
  while (client.isRunning() && Date.now() < deadline && !signal?.aborted) {
    if (await isRabbitmqReady({ managementUrl: urls.managementUrl, amqpPort: ports.amqp }))
      return { outcome: 'ready', server: toServer() }
    await pause(200, signal)
  }
  await client.stop([])
  await exited
  const output = readFileSync(logFile).subarray(logged).toString()
  const outcome = /port is already allocated|address already in use/.test(output) ? 'port_taken' : 'failed'
  return { outcome, logFile, output: output.slice(-OUTPUT_BYTES_MAX) }

  function toServer(): RabbitmqServer {
    return {
      ...urls,
      port: ports.amqp,
      managementPort: ports.management,
      pid: client.pid,
      logFile,
      exited,
      async ctl(...args) {
        const { stdout } = await run('docker', ['exec', name, 'rabbitmqctl', ...args])
        return stdout
      },
      async stop() {
        await client.stop([{ signal: 'SIGTERM', patienceMs: STOP_PATIENCE_MS }])
        await exited
      },
    }
  }
}

/** Has the broker write files that this user may delete. Root may delete every user's files. */
function asThisUser(): string[] {
  const [uid, gid] = [process.getuid?.(), process.getgid?.()]
  return uid ? ['--user', `${uid}:${gid}`] : []
}

async function fetchImage({ log, signal }: RabbitmqOptions): Promise<void> {
  const present = await run('docker', ['image', 'inspect', IMAGE]).then(
    () => true,
    () => false,
  )
  if (present) return
  log?.(`downloading the image ${IMAGE} with Docker`)
  const pull = await startDaemon({
    file: 'docker',
    args: ['pull', IMAGE],
    env: process.env,
    cwd: '/',
    output: { onLine: (line) => log?.(`  ${line}`) },
  })
  const stop = () => void pull.stop([])
  signal?.addEventListener('abort', stop, { once: true })
  const { code } = await pull.exited
  signal?.removeEventListener('abort', stop)
  signal?.throwIfAborted()
  if (code !== 0) throw new StartError(`Docker could not download the image ${IMAGE}`)
}

async function removeContainer(name: string): Promise<void> {
  await run('docker', ['rm', '--force', '--volumes', name])
}
