import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A run of apt-get that gets no further must not hang `npm start` for ever. */
const APT_DEADLINE_MS = 10 * 60_000
const APT_OUTPUT_BYTES_MAX = 16 * 1024 * 1024

export type Apt = (program: string, args: string[]) => Promise<{ stdout: string; stderr: string }>

/** Lists, caches and downloads are in our folder; the machine's sources, keys and package status are read as they are. */
export function aptIn(work: string, signal?: AbortSignal): Apt {
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

const DEPENDENCIES_ONLY = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map(
  (kind) => `--no-${kind}`,
)

/** RabbitMQ, the Erlang that it needs, and the libraries that Erlang needs and this machine lacks. Empty if unknown to apt. */
export async function neededPackages(apt: Apt): Promise<string[]> {
  const { stdout: known } = await apt('apt-cache', ['pkgnames', 'rabbitmq-server'])
  if (!known.split('\n').includes('rabbitmq-server')) return []
  const { stdout: all } = await apt('apt-cache', ['depends', '--recurse', ...DEPENDENCIES_ONLY, 'rabbitmq-server'])
  const wanted = [...new Set(all.match(/^(rabbitmq-server|erlang-[a-z0-9-]+)$/gm) ?? [])]
  return [...wanted, ...(await missingLibraries(apt, wanted))]
}

/** The libraries that these packages depend on, directly, and that this machine lacks. */
export async function missingLibraries(apt: Apt, packages: readonly string[]): Promise<string[]> {
  const { stdout: direct } = await apt('apt-cache', ['depends', ...DEPENDENCIES_ONLY, ...packages])
  const libraries = [
    ...new Set([...direct.matchAll(/Depends: (lib[a-z0-9.+-]+|zlib1g)$/gm)].map(([, name]) => name as string)),
  ]
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's placeholders, not ours
  const { stdout: status } = await run('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n'])
  const installed = new Set([...status.matchAll(/^(\S+) installed$/gm)].map(([, name]) => name))
  return libraries.filter((name) => !installed.has(name))
}
