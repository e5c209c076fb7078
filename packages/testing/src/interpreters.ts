import { execFile } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { defined, errorMessage } from '@cashflow/async'
import { fetchDebianPackage, findOnPath } from '@cashflow/dev-stack'

/** How to run programs of a language: `file`, with `args` before those of the program. */
export interface Interpreter {
  readonly file: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

interface Language {
  readonly program: string
  /** Arguments with which an interpreter that is new and complete enough exits with 0. */
  readonly probe: readonly string[]
  readonly package: string
  readonly parts: readonly string[]
  unpackedIn(folder: string): Omit<Interpreter, 'env'> & { readonly env?: Readonly<Record<string, string>> }
}

const LANGUAGES = {
  python: {
    program: 'python3',
    probe: ['-c', 'import hmac, http.server, sqlite3, sys; sys.exit(sys.version_info < (3, 9))'],
    package: 'python3.11-minimal',
    parts: ['libpython3.11-minimal', 'libpython3.11-stdlib'],
    unpackedIn: (folder) => ({
      file: join(folder, 'usr/bin/python3.11'),
      args: [],
      env: { PYTHONHOME: join(folder, 'usr') },
    }),
  },
  php: {
    program: 'php',
    probe: ['-r', 'exit(PHP_VERSION_ID >= 80000 && extension_loaded("pdo_sqlite") ? 0 : 1);'],
    package: 'php8.2-cli',
    parts: ['php8.2-common', 'php8.2-sqlite3'],
    unpackedIn(folder) {
      const extensions = defined(globSync(join(folder, 'usr/lib/php/*/pdo.so'))[0], 'pdo.so').slice(
        0,
        -'/pdo.so'.length,
      )
      const settings = [`extension_dir=${extensions}`, 'extension=pdo', 'extension=pdo_sqlite']
      return { file: join(folder, 'usr/bin/php8.2'), args: ['-n', ...settings.flatMap((setting) => ['-d', setting])] }
    },
  },
} as const satisfies Record<string, Language>

/**
 * Finds an interpreter with SQLite: an installed one, or else Debian's, which apt-get downloads.
 *
 * @returns undefined where there is neither, after a line that says that tests are left out
 * @throws Error instead, where all tests have to run: `CASHFLOW_TEST_COMPLETE=yes`
 */
export async function fetchInterpreter(
  name: keyof typeof LANGUAGES,
  {
    isComplete = process.env.CASHFLOW_TEST_COMPLETE === 'yes',
    find = findOnPath,
    fetchPackage = fetchDebianPackage,
    log = (line: string) => void process.stderr.write(`${line}\n`),
  } = {},
): Promise<Interpreter | undefined> {
  const language: Language = LANGUAGES[name]
  const installed = find(language.program)
  if (installed) {
    const interpreter = { file: installed, args: [], env: {} }
    if (await passes(interpreter, language)) return interpreter
  }
  let reason = 'not installed with SQLite'
  try {
    const folder = await fetchPackage(language.package, { parts: language.parts, log })
    if (folder) {
      const libraries = globSync(`${folder}/{lib,usr/lib}/*-linux-gnu*`).join(':')
      const { file, args, env } = language.unpackedIn(folder)
      const interpreter = { file, args, env: { LD_LIBRARY_PATH: libraries, ...env } }
      if (await passes(interpreter, language)) return interpreter
      reason = `${reason}, and Debian's does not run here`
    }
  } catch (error) {
    reason = `${reason}, and apt-get could not download it: ${errorMessage(error)}`
  }
  if (isComplete) throw new Error(`${language.program} is ${reason}`)
  log(`Tests are left out, because ${language.program} is ${reason}`)
  return undefined
}

async function passes({ file, args, env }: Interpreter, { probe }: Language): Promise<boolean> {
  const run = promisify(execFile)(file, [...args, ...probe], { env: { ...process.env, ...env } })
  return run.then(
    () => true,
    () => false,
  )
}
