import { existsSync, globSync } from 'node:fs'
import { findOnPath } from './find-on-path.ts'
import { aptIn, missingLibraries } from './servers/apt.ts'
import { canDownloadFromDebian, type DownloadOptions, debianFolder, fillOnce, unpack } from './servers/debian-cache.ts'

const PACKAGE = 'pgbouncer'

export interface PgbouncerProgram {
  file: string
  /** Where its libraries are. */
  env: NodeJS.ProcessEnv
}

/**
 * PgBouncer: the system's, or else Debian's, which apt-get downloads into the user's cache.
 *
 * @throws Error where there is neither
 */
export async function fetchPgbouncer(options: DownloadOptions = {}): Promise<PgbouncerProgram> {
  const installed = findOnPath(PACKAGE) ?? ['/usr/sbin/pgbouncer'].find(existsSync)
  if (installed) return { file: installed, env: {} }
  const folder = debianFolder(PACKAGE)
  if (!folder || !canDownloadFromDebian()) throw new Error('PgBouncer is not installed: put pgbouncer on the PATH')
  await fillOnce(folder, options, async (work) => {
    options.log?.('downloading PgBouncer with apt-get')
    const apt = aptIn(work, options.signal)
    await apt('apt-get', ['update'])
    await apt('apt-get', ['download', PACKAGE, ...(await missingLibraries(apt, [PACKAGE]))])
    await unpack(work)
  })
  const libraries = globSync(`${folder}/{lib,usr/lib}/*-linux-gnu*`)
  return { file: `${folder}/usr/sbin/pgbouncer`, env: { LD_LIBRARY_PATH: libraries.join(':') } }
}
