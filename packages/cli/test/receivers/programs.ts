import { readFileSync } from 'node:fs'
import { mkdir, mkdtempDisposable, symlink, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { defined } from '@cashflow/async'
import { freePorts, startDaemon, untilReady } from '@cashflow/dev-stack'
import { fetchInterpreter, type Interpreter, REPOSITORY } from '@cashflow/testing'

export type Language = 'js' | 'python' | 'php'

/** The text of a program that is changed, which has to be there once. */
export type Change = readonly [from: string, to: string]

export interface RunningReceiver {
  readonly url: string
  /** What it has printed. */
  readonly lines: readonly string[]
  stop(): Promise<void>
}

const FILES = { js: 'receiver.mjs', python: 'receiver.py', php: 'cashflow.php' } as const
const PAGE = join(REPOSITORY, 'docs/integrating.md')

/** The receiver of docs/integrating.md in a language: its first block of code. */
export function documentedReceiver(language: Language): string {
  const [, code] = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'ms').exec(readFileSync(PAGE, 'utf8')) ?? []
  return defined(code, `receiver in ${language}`)
}

export function changed(code: string, changes: readonly Change[]): string {
  return changes.reduce((text, [from, to]) => {
    if (text.split(from).length !== 2) throw new Error(`It is not there once: ${from}`)
    return text.replace(from, () => to)
  }, code)
}

/** Finds the interpreter of a language. Undefined where there is none, and tests are left out. */
export async function interpreterOf(language: Language): Promise<Interpreter | undefined> {
  return language === 'js' ? { file: process.execPath, args: [], env: {} } : fetchInterpreter(language)
}

/** Writes a program to a folder in which Node finds its packages. */
export async function writeProgram(dir: string, language: Language, code: string): Promise<string> {
  for (const [name, folder] of [
    ['express', join(REPOSITORY, 'packages/cli/node_modules/express')],
    ['@cashflow/client', join(REPOSITORY, 'packages/client')],
  ] as const) {
    await mkdir(dirname(join(dir, 'node_modules', name)), { recursive: true })
    await symlink(folder, join(dir, 'node_modules', name)).catch((error) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
  await writeFile(join(dir, FILES[language]), code)
  return FILES[language]
}

/** Runs a receiver as its page says, with a database of its own. */
export async function startReceiver(
  language: Language,
  { file, args, env }: Interpreter,
  { code = documentedReceiver(language), secrets }: { code?: string; secrets: readonly string[] },
): Promise<RunningReceiver> {
  await using unfinished = new AsyncDisposableStack()
  const { path: dir } = unfinished.use(await mkdtempDisposable(join(tmpdir(), 'cashflow-receiver-')))
  const program = await writeProgram(dir, language, code)
  const port = defined((await freePorts(1))[0], 'port')
  const lines: string[] = []
  const server = await startDaemon({
    file,
    args: [...args, ...(language === 'php' ? ['-S', `127.0.0.1:${port}`] : []), program],
    env: {
      ...{
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        ...env,
        PORT: String(port),
        CASHFLOW_WEBHOOK_SECRETS: secrets.join(','),
      },
      ...{ WEBHOOKS_DB: join(dir, 'test.db'), PHP_CLI_SERVER_WORKERS: '4' },
    },
    cwd: dir,
    output: { onLine: (line) => lines.push(line) },
  })
  // It kills the group: the workers of PHP outlive a server that a signal stops.
  unfinished.defer(async () => void (await server.stop([])))
  if (!(await untilReady(server, () => accepts(port), { deadlineMs: 30_000, intervalMs: 50 })))
    throw new Error(`The receiver in ${language} did not start:\n${lines.join('\n')}`)
  const running = unfinished.move()
  return { url: `http://127.0.0.1:${port}/cashflow`, lines, stop: () => running.disposeAsync() }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1')
    const end = (outcome: boolean) => {
      socket.destroy()
      resolve(outcome)
    }
    socket.once('connect', () => end(true)).once('error', () => end(false))
  })
}
