import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from '../cache-folder.ts'
import { findOnPath } from '../find-on-path.ts'
import { lock } from '../processes/lock.ts'

export type DownloadOptions = { log?: (line: string) => void; signal?: AbortSignal }

const OS_RELEASE = '/etc/os-release'

export function canDownloadFromDebian(): boolean {
  return existsSync(OS_RELEASE) && ['apt-get', 'apt-cache', 'dpkg'].every(findOnPath)
}

/** Where something of Debian's is unpacked, in the user's cache: one folder per distribution, since a home may be shared. */
export function debianFolder(name: string): string | undefined {
  return existsSync(OS_RELEASE) ? join(cacheFolder(), `${name}-${distribution()}-${process.arch}`) : undefined
}

/**
 * Fills the folder, unless it is there. Several callers at once share one download.
 *
 * @param download is given a folder to work in, and leaves all in its `root`
 */
export async function fillOnce(
  folder: string,
  { log = () => {}, signal }: DownloadOptions,
  download: (work: string) => Promise<void>,
): Promise<void> {
  const held = await lock(`${folder}.lock`, () => log(`another process is downloading ${folder}; waiting`), signal)
  try {
    if (existsSync(folder)) return
    const work = `${folder}.partial`
    rmSync(work, { recursive: true, force: true }) // Of one that was killed.
    try {
      await download(work)
      renameSync(join(work, 'root'), folder)
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  } finally {
    held.release()
  }
}

/** Unpacks what apt-get has downloaded: nothing is installed, and no root is needed. */
export async function unpack(work: string): Promise<void> {
  const packed = join(work, 'packed')
  for (const file of readdirSync(packed)) {
    await promisify(execFile)('dpkg', ['-x', join(packed, file), join(work, 'root')])
  }
}

function distribution(): string {
  const release = readFileSync(OS_RELEASE, 'utf8')
  const value = (key: string) => new RegExp(`^${key}="?([^"\\n]*)`, 'm').exec(release)?.[1] ?? 'unknown'
  return `${value('ID')}-${value('VERSION_ID')}`
}
