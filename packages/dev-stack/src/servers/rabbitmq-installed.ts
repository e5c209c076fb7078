import { execFile } from 'node:child_process'
import { globSync, realpathSync } from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { findOnPath, isExecutable } from '../find-on-path.ts'

/** RabbitMQ's own scripts and the Erlang that runs them. */
export type RabbitmqPrograms = {
  /** Holds rabbitmq-server and rabbitmqctl. */
  scripts: string
  /** `erl` is found on this PATH. */
  path: string
  epmd: string
}

/** Where packages put a server that is not on every user's PATH. */
const USUAL_FOLDERS = ['/usr/lib/rabbitmq/bin', '/usr/local/sbin', '/opt/homebrew/sbin', '/usr/sbin']

/** A RabbitMQ and an Erlang that somebody installed. */
export async function installedPrograms(): Promise<RabbitmqPrograms | undefined> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...USUAL_FOLDERS]
  const found = folders.find((folder) => isExecutable(join(folder, 'rabbitmq-server')))
  if (found === undefined || findOnPath('erl') === undefined) return undefined
  let server = realpathSync(join(found, 'rabbitmq-server'))
  // Debian's /usr/sbin/rabbitmq-server is a wrapper that becomes another user, and refuses everybody but root.
  if (basename(server) === 'rabbitmq-script-wrapper') server = realpathSync(join(server, '../rabbitmq-server'))
  return { scripts: dirname(server), path: process.env.PATH ?? '', epmd: await findEpmd() }
}

async function findEpmd(): Promise<string> {
  const onPath = findOnPath('epmd')
  if (onPath) return onPath
  const script = 'io:format("~s", [code:root_dir()]), halt().'
  const { stdout: root } = await promisify(execFile)('erl', ['-noshell', '-eval', script])
  const [epmd] = globSync(join(root, 'erts-*/bin/epmd'))
  if (epmd === undefined) throw new Error(`no epmd in ${root}: is this Erlang complete?`)
  return epmd
}
