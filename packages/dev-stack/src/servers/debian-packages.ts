import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { defined } from '@cashflow/async'
import { findOnPath, privateFolder } from '../files.ts'
import { lock } from '../processes/lock.ts'
import type { ServerOptions } from './server-options.ts'

export type DownloadOptions = Pick<ServerOptions, 'log' | 'signal'>

export type Apt = (program: string, args: string[]) => Promise<{ stdout: string; stderr: string }>

const run = promisify(execFile)
const OS_RELEASE = '/etc/os-release'
/** Ends an apt-get that hangs, so that `npm start` does not hang with it. */
const APT_DEADLINE_MS = 10 * 60_000
const APT_OUTPUT_BYTES_MAX = 16 * 1024 * 1024

export function canDownloadFromDebian(): boolean {
  return existsSync(OS_RELEASE) && ['apt-get', 'apt-cache', 'dpkg'].every((program) => findOnPath(program))
}

/**
 * Downloads a package of Debian into the user's cache, and unpacks it there.
 *
 * @param options `parts` are further packages that it needs. They come with all libraries that this machine lacks.
 * @returns its folder, which is the root of its paths; undefined on other systems
 */
export async function fetchDebianPackage(
  name: string,
  { parts = [], ...options }: DownloadOptions & { parts?: readonly string[] },
): Promise<string | undefined> {
  const folder = debianFolder(name)
  if (!folder || !canDownloadFromDebian()) return undefined
  await fillOnce(folder, options, async (work) => {
    options.log?.(`downloading ${name} with apt-get`)
    const apt = aptIn(work, options.signal)
    await apt('apt-get', ['update'])
    const how = parts.length > 0 ? ['--recurse'] : []
    const libraries = await missingLibraries(apt, [...how, name, ...parts])
    await apt('apt-get', ['download', name, ...parts, ...libraries.filter((library) => !parts.includes(library))])
    await unpack(work)
  })
  return folder
}

/** The place of an unpacked package: one folder for each distribution, since several machines may share a home. */
export function debianFolder(name: string): string | undefined {
  return existsSync(OS_RELEASE) ? join(cacheFolder(), `${name}-${distribution()}-${process.arch}`) : undefined
}

/** A user without a home, or with a space in its path, gets a folder in /var/tmp: RabbitMQ's scripts fail on spaces. */
function cacheFolder(): string {
  const { homedir, uid } = userInfo()
  const folder = join(process.env.XDG_CACHE_HOME || join(process.env.HOME || homedir, '.cache'), 'cashflow')
  try {
    mkdirSync(folder, { recursive: true })
    accessSync(folder, constants.W_OK)
    if (!/\s/.test(folder)) return folder
  } catch {
    // The user may not write there.
  }
  return privateFolder(`/var/tmp/cashflow-cache-${uid}`)
}

function distribution(): string {
  const release = readFileSync(OS_RELEASE, 'utf8')
  const value = (key: string) => new RegExp(`^${key}="?([^"\\n]*)`, 'm').exec(release)?.[1] ?? 'unknown'
  return `${value('ID')}-${value('VERSION_ID')}`
}

/**
 * Fills the folder, unless it exists. Several callers at once share one download.
 *
 * @param download gets a folder to work in, and leaves the result in its subfolder `root`
 */
export async function fillOnce(
  folder: string,
  { log = () => {}, signal }: DownloadOptions,
  download: (work: string) => Promise<void>,
): Promise<void> {
  if (existsSync(folder)) return
  using _held = await lock(`${folder}.lock`, () => log(`another process is downloading ${folder}; waiting`), signal)
  if (existsSync(folder)) return
  const work = `${folder}.partial`
  const remove = () => rmSync(work, { recursive: true, force: true })
  remove() // A download that was killed leaves this folder.
  try {
    await download(work)
    renameSync(join(work, 'root'), folder)
  } finally {
    remove()
  }
}

/** Runs apt with lists, caches and downloads in `work`. It reads the machine's sources, keys and package status. */
export function aptIn(work: string, signal?: AbortSignal): Apt {
  const packed = join(work, 'packed')
  for (const folder of ['lists/partial', 'cache/archives/partial', 'packed', 'root']) {
    mkdirSync(join(work, folder), { recursive: true })
  }
  const settings = [
    `Dir::State::Lists=${join(work, 'lists')}`,
    `Dir::Cache=${join(work, 'cache')}`,
    // Root's apt-get becomes the user _apt by default, which may not write here.
    'APT::Sandbox::User=',
    'Acquire::Retries=3',
    'Acquire::Languages=none',
  ].flatMap((setting) => ['-o', setting])
  const options = {
    cwd: packed,
    env: { ...process.env, LC_ALL: 'C' },
    timeout: APT_DEADLINE_MS,
    maxBuffer: APT_OUTPUT_BYTES_MAX,
    ...(signal && { signal }),
  }
  return async (program, args) => {
    try {
      return await run(program, [...settings, ...args], options)
    } catch (error) {
      signal?.throwIfAborted()
      throw new Error((error as { stderr?: string }).stderr?.trim() || `${program} failed`, { cause: error })
    }
  }
}

/** The output of `apt-cache depends`, without recommended and conflicting packages. */
export async function dependenciesOf(apt: Apt, args: readonly string[]): Promise<string> {
  const left = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances']
  const { stdout } = await apt('apt-cache', ['depends', ...left.map((kind) => `--no-${kind}`), ...args])
  return stdout
}

/** The libraries that these packages depend on and that this machine lacks: directly, or with `--recurse` at any distance. */
export async function missingLibraries(apt: Apt, args: readonly string[]): Promise<string[]> {
  const depends = await dependenciesOf(apt, args)
  const libraries = new Set(
    [...depends.matchAll(/Depends: (lib[a-z0-9.+-]+|zlib1g)$/gm)].map(([, name]) => defined(name, 'name of a library')),
  )
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's placeholders, not ours
  const { stdout: status } = await run('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n'])
  const installed = new Set([...status.matchAll(/^(\S+) installed$/gm)].map(([, name]) => name))
  return [...libraries].filter((name) => !installed.has(name))
}

export async function unpack(work: string): Promise<void> {
  const packed = join(work, 'packed')
  for (const file of readdirSync(packed)) await run('dpkg', ['-x', join(packed, file), join(work, 'root')])
}
