import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { REPOSITORY } from '@cashflow/testing'

export const MAIN = join(REPOSITORY, 'packages/cli/src/main.ts')

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command of `cashflow` as a process of its own, with these settings only. It finds no stack that runs in the checkout. */
export function runCashflow(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd?: string,
): Promise<Ended> {
  return promisify(execFile)(process.execPath, [MAIN, ...args], {
    env: { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE, APP_ENV: 'production', SANDBOX: 'yes', ...env },
    ...(cwd !== undefined && { cwd }),
  }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Ended) => error,
  )
}
