import { execFile } from 'node:child_process'
import { chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { dataFolder } from './postgres-cluster.ts'
import { postgresHome } from './postgres-home.ts'

/**
 * Copies the data of a server that is not running. The copy, started with `primary_conninfo`, is a standby of it: it
 * streams what was written since, until it is promoted.
 */
export async function copyForStandby({ from, to }: { from: string; to: string }): Promise<void> {
  const [source, copy] = [postgresHome(from), postgresHome(to)]
  mkdirSync(copy.files, { recursive: true })
  await promisify(execFile)('cp', ['-a', dataFolder(source), dataFolder(copy)])
  const signalFile = join(dataFolder(copy), 'standby.signal')
  writeFileSync(signalFile, '', { mode: 0o600 })
  if (copy.user) chownSync(signalFile, copy.user.uid, copy.user.gid)
}
