import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { findOnPath } from '../files.ts'
import { startDaemon } from '../processes/daemon.ts'
import { StartError } from '../start-error.ts'
import { launchCommand, type RabbitmqOptions, type RabbitmqPorts, type RabbitmqServer } from './rabbitmq-server.ts'

const IMAGE = 'rabbitmq:4-management'
const STOP_PATIENCE_MS = 15_000

const run = promisify(execFile)

export async function isDockerReachable(): Promise<boolean> {
  if (!findOnPath('docker')) return false
  return succeeds(['version', '--format', '{{.Server.Version}}'], 5_000)
}

function succeeds(args: string[], timeout = 0): Promise<boolean> {
  return run('docker', args, { timeout }).then(
    () => true,
    () => false,
  )
}

/**
 * Starts a container. The broker's process is then Docker's client, which passes signals on. The container is removed
 * when the client ends.
 */
export async function launchInDocker(ports: RabbitmqPorts, options: RabbitmqOptions): Promise<RabbitmqServer> {
  const dir = resolve(options.dir)
  const name = `cashflow-${createHash('sha256').update(dir).digest('hex').slice(0, 12)}`
  mkdirSync(join(dir, 'docker'), { recursive: true })
  await fetchImage(options)
  await removeContainer(name) // An earlier run that was killed leaves its container.
  const args = [
    ...['run', '--rm', '--name', name],
    // RabbitMQ keeps its data under the node's name, which contains the host's name.
    ...['--hostname', 'cashflow'],
    ...['--mount', `type=bind,source=${join(dir, 'docker')},target=/var/lib/rabbitmq`],
    ...['--publish', `127.0.0.1:${ports.amqp}:5672`, '--publish', `127.0.0.1:${ports.management}:15672`],
    ...asThisUser(),
    IMAGE,
  ]
  const ctl = async (...args: string[]) => (await run('docker', ['exec', name, 'rabbitmqctl', ...args])).stdout
  const command = { file: 'docker', args, env: process.env, ctl, stopPatienceMs: STOP_PATIENCE_MS }
  return launchCommand(command, ports, { ...options, cleanUp: () => removeContainer(name) })
}

/** Has the broker write files that this user may delete. Root may delete every user's files. */
function asThisUser(): string[] {
  const [uid, gid] = [process.getuid?.(), process.getgid?.()]
  return uid ? ['--user', `${uid}:${gid}`] : []
}

async function fetchImage({ log, signal }: RabbitmqOptions): Promise<void> {
  if (await succeeds(['image', 'inspect', IMAGE])) return
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
