import { execFile } from 'node:child_process'
import {
  chmodSync,
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
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from '../cache-folder.ts'
import { findOnPath } from '../find-on-path.ts'
import { lock } from '../processes/lock.ts'
import { aptIn, neededPackages } from './apt.ts'
import type { RabbitmqPrograms } from './rabbitmq-installed.ts'

const run = promisify(execFile)

export type DownloadOptions = { log?: (line: string) => void; signal?: AbortSignal }

const OS_RELEASE = '/etc/os-release'

export function canDownloadDebianPrograms(): boolean {
  return existsSync(OS_RELEASE) && ['apt-get', 'apt-cache', 'dpkg'].every(findOnPath)
}

export function cachedDebianPrograms(): RabbitmqPrograms | undefined {
  if (!existsSync(OS_RELEASE)) return undefined
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

function distribution(): string {
  const release = readFileSync(OS_RELEASE, 'utf8')
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
