import { execFile } from 'node:child_process'
import { chmodSync, existsSync, globSync, mkdirSync, readdirSync, realpathSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { redactedErrorMessage } from '@cashflow/runtime'
import { findOnPath } from '../files.ts'
import {
  type Apt,
  aptIn,
  canDownloadFromDebian,
  type DownloadOptions,
  debianFolder,
  dependenciesOf,
  fillOnce,
  missingLibraries,
  unpack,
} from './debian-packages.ts'

/** RabbitMQ's own scripts and the Erlang that runs them. */
export interface RabbitmqPrograms {
  scripts: string
  /** A PATH on which `erl` is found. */
  path: string
  epmd: string
}

/** Folders of packages that do not put the server on every user's PATH. */
const USUAL_FOLDERS = ['/usr/lib/rabbitmq/bin', '/usr/local/sbin', '/opt/homebrew/sbin', '/usr/sbin']

/** Finds RabbitMQ's programs: installed ones, else those that apt-get has downloaded or can download. */
export async function findPrograms(
  options: DownloadOptions,
): Promise<{ programs: RabbitmqPrograms } | { programs?: undefined; failure?: unknown }> {
  const installed = await installedPrograms()
  if (installed) return { programs: installed }
  const home = debianFolder('rabbitmq')
  if (home === undefined || !(existsSync(home) || canDownloadFromDebian())) return {}
  try {
    await fillOnce(home, options, (work) => download(work, options))
    return { programs: programsIn(home) }
  } catch (failure) {
    options.signal?.throwIfAborted()
    options.log?.(`apt-get could not download RabbitMQ: ${redactedErrorMessage(failure)}`)
    return { failure }
  }
}

async function installedPrograms(): Promise<RabbitmqPrograms | undefined> {
  const found = findOnPath('rabbitmq-server', USUAL_FOLDERS)
  if (found === undefined || findOnPath('erl') === undefined) return undefined
  let server = realpathSync(found)
  // Debian's /usr/sbin/rabbitmq-server is a wrapper that changes the user, and refuses all callers but root.
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

/** Downloads Debian's own rabbitmq-server and Erlang. Nothing is installed, and no root is needed. */
async function download(work: string, { log = () => {}, signal }: DownloadOptions): Promise<void> {
  const apt = aptIn(work, signal)
  log('RabbitMQ is not installed: reading the package lists with apt-get')
  const { stderr: warnings } = await apt('apt-get', ['update'])
  const packages = await neededPackages(apt)
  if (packages.length === 0) {
    throw new Error(`the apt sources of this machine have no rabbitmq-server, or cannot be reached\n${warnings}`.trim())
  }
  const { stdout: uris } = await apt('apt-get', ['download', '--print-uris', ...packages])
  // Each line is: 'uri' file size checksum
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

/** RabbitMQ, its Erlang, and Erlang's libraries that this machine lacks. Empty if apt does not know RabbitMQ. */
async function neededPackages(apt: Apt): Promise<string[]> {
  const { stdout: known } = await apt('apt-cache', ['pkgnames', 'rabbitmq-server'])
  if (!known.split('\n').includes('rabbitmq-server')) return []
  const all = await dependenciesOf(apt, ['--recurse', 'rabbitmq-server'])
  const wanted = [...new Set(all.match(/^(rabbitmq-server|erlang-[a-z0-9-]+)$/gm) ?? [])]
  return [...wanted, ...(await missingLibraries(apt, wanted))]
}

/** Debian's `erl` has /usr/lib/erlang built in. This wrapper finds its own folder, and the libraries next to it. */
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
