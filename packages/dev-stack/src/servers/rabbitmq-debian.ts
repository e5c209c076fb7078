import { chmodSync, existsSync, globSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { aptIn, neededPackages } from './apt.ts'
import { type DownloadOptions, debianFolder, fillOnce, unpack } from './debian-cache.ts'
import type { RabbitmqPrograms } from './rabbitmq-installed.ts'

export function cachedDebianPrograms(): RabbitmqPrograms | undefined {
  const home = debianFolder('rabbitmq')
  return home !== undefined && existsSync(home) ? programsIn(home) : undefined
}

/**
 * Debian's own rabbitmq-server and Erlang, unpacked into the user's cache: no root, nothing installed, and the machine's
 * apt lists stay as they are.
 */
export async function downloadDebianPrograms(options: DownloadOptions): Promise<RabbitmqPrograms> {
  const { log = () => {}, signal } = options
  const home = debianFolder('rabbitmq')
  if (home === undefined) throw new Error('this is no Debian')
  await fillOnce(home, options, (work) => download(work, log, signal))
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
  await unpack(work)
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

function bytesIn(folder: string): number {
  return readdirSync(folder).reduce(
    (sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  )
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}
