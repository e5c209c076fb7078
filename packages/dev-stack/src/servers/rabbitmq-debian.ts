import { execFile } from 'node:child_process'
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findOnPath } from '../find-on-path.ts'
import { privateFolder } from '../private-folder.ts'
import { lock } from '../processes/lock.ts'
import type { RabbitmqPrograms } from './rabbitmq-installed.ts'

const run = promisify(execFile)

/** A run of apt-get that gets no further must not hang `npm start` for ever. */
const APT_DEADLINE_MS = 10 * 60_000
const APT_OUTPUT_BYTES_MAX = 16 * 1024 * 1024

export type DownloadOptions = { log?: (line: string) => void; signal?: AbortSignal }

export function canDownloadDebianPrograms(): boolean {
  return ['apt-get', 'apt-cache', 'dpkg'].every(findOnPath)
}

export function cachedDebianPrograms(): RabbitmqPrograms | undefined {
  const home = cachedHome()
  return existsSync(home) ? programsIn(home) : undefined
}

/**
 * Debian's own rabbitmq-server and Erlang, unpacked into the user's cache: no root, nothing installed, and the machine's
 * apt lists stay as they are. Several callers at once share one download.
 */
export async function downloadDebianPrograms({ log = () => {}, signal }: DownloadOptions): Promise<RabbitmqPrograms> {
  const home = cachedHome()
  const held = await lock(`${home}.lock`, () => log('another process is downloading RabbitMQ; waiting for it'), signal)
  try {
    if (!existsSync(home)) {
      const work = `${home}.partial`
      rmSync(work, { recursive: true, force: true }) // Of one that was killed.
      try {
        await download(work, log, signal)
        renameSync(join(work, 'root'), home)
      } finally {
        rmSync(work, { recursive: true, force: true })
      }
    }
  } finally {
    held.release()
  }
  return programsIn(home)
}

async function download(work: string, log: (line: string) => void, signal?: AbortSignal): Promise<void> {
  const apt = aptIn(work, signal)
  log('RabbitMQ is not installed: reading the package lists with apt-get')
  const { stderr: warnings } = await apt('apt-get', ['update'])
  const packages = await neededPackages(apt)
  if (packages.length === 0) {
    throw new Error(`the apt sources of this machine have no rabbitmq-server, or cannot be reached\n${warnings}`.trim())
  }
  const { stdout: uris } = await apt('apt-get', ['download', '--print-uris', ...packages])
  // 'uri' file size checksum
  const bytes = [...uris.matchAll(/^'\S+' \S+ (\d+)/gm)].reduce((sum, [, size]) => sum + Number(size), 0)
  const packed = join(work, 'packed')
  log(`downloading RabbitMQ and Erlang: ${packages.length} packages, ${megabytes(bytes)}`)
  const progress = setInterval(() => log(`  ${megabytes(bytesIn(packed))} of ${megabytes(bytes)}`), 2_000)
  try {
    await apt('apt-get', ['download', ...packages])
  } finally {
    clearInterval(progress)
  }
  log('unpacking RabbitMQ and Erlang')
  for (const file of readdirSync(packed)) await run('dpkg', ['-x', join(packed, file), join(work, 'root')])
  writeErlWrapper(join(work, 'root'))
}

type Apt = (program: string, args: string[]) => Promise<{ stdout: string; stderr: string }>

/** Lists, caches and downloads are in our folder; the machine's sources, keys and package status are read as they are. */
function aptIn(work: string, signal?: AbortSignal): Apt {
  const packed = join(work, 'packed')
  for (const folder of ['lists/partial', 'cache/archives/partial', 'packed', 'root']) {
    mkdirSync(join(work, folder), { recursive: true })
  }
  const settings = [
    `Dir::State::Lists=${join(work, 'lists')}`,
    `Dir::Cache=${join(work, 'cache')}`,
    // Else root's apt-get becomes _apt, who may not write here.
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

/** RabbitMQ, the Erlang that it needs, and the libraries that Erlang needs and this machine lacks. Empty if unknown to apt. */
async function neededPackages(apt: Apt): Promise<string[]> {
  const hard = ['--no-recommends', '--no-suggests', '--no-conflicts', '--no-breaks', '--no-replaces', '--no-enhances']
  const { stdout: known } = await apt('apt-cache', ['pkgnames', 'rabbitmq-server'])
  if (!known.split('\n').includes('rabbitmq-server')) return []
  const { stdout: all } = await apt('apt-cache', ['depends', '--recurse', ...hard, 'rabbitmq-server'])
  const wanted = [...new Set(all.match(/^(rabbitmq-server|erlang-[a-z0-9-]+)$/gm) ?? [])]
  const { stdout: direct } = await apt('apt-cache', ['depends', ...hard, ...wanted])
  const libraries = [
    ...new Set([...direct.matchAll(/Depends: (lib[a-z0-9.+-]+|zlib1g)$/gm)].map(([, name]) => name as string)),
  ]
  const { stdout: status } = await run('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n'])
  const installed = new Set([...status.matchAll(/^(\S+) installed$/gm)].map(([, name]) => name))
  return [...wanted, ...libraries.filter((name) => !installed.has(name))]
}

/** Debian's `erl` has /usr/lib/erlang built in; this one finds itself, and the libraries that came with it. */
function writeErlWrapper(root: string): void {
  const file = join(root, 'bin/erl')
  mkdirSync(join(root, 'bin'))
  writeFileSync(
    file,
    `#!/bin/sh
root=$(cd "$(dirname "$0")/.." && pwd)
export ROOTDIR="$root/usr/lib/erlang" EMU=beam PROGNAME=erl
for BINDIR in "$ROOTDIR"/erts-*/bin; do export BINDIR; done
for folder in "$root"/usr/lib/*-linux-gnu* "$root"/lib/*-linux-gnu*; do
  if [ -d "$folder" ]; then export LD_LIBRARY_PATH="$folder\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"; fi
done
exec "$BINDIR/erlexec" "$@"
`,
  )
  chmodSync(file, 0o755)
}

function programsIn(home: string): RabbitmqPrograms {
  const [scripts] = globSync(join(home, 'usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin'))
  const [epmd] = globSync(join(home, 'usr/lib/erlang/erts-*/bin/epmd'))
  if (scripts === undefined || epmd === undefined) throw new Error(`no RabbitMQ in ${home}: remove that folder`)
  return { scripts, epmd, path: `${join(home, 'bin')}:${process.env.PATH ?? '/usr/bin:/bin'}` }
}

/** One folder per distribution, since a home may be shared. */
function cachedHome(): string {
  return join(cacheFolder(), `rabbitmq-${distribution()}-${process.arch}`)
}

/**
 * The user's cache; or a folder of this user's in /var/tmp: for who has no home, and because RabbitMQ's scripts cannot
 * stand in a path with spaces.
 */
function cacheFolder(): string {
  const home = process.env.HOME || userInfo().homedir
  const folder = join(process.env.XDG_CACHE_HOME || join(home, '.cache'), 'cashflow')
  if (!/\s/.test(folder) && canMake(folder)) return folder
  return privateFolder(`/var/tmp/cashflow-cache-${userInfo().uid}`)
}

function canMake(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true })
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function distribution(): string {
  const release = readFileSync('/etc/os-release', 'utf8')
  const value = (key: string) => new RegExp(`^${key}="?([^"\\n]*)`, 'm').exec(release)?.[1] ?? 'unknown'
  return `${value('ID')}-${value('VERSION_ID')}`
}

function bytesIn(folder: string): number {
  return readdirSync(folder).reduce(
    (sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  )
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}
