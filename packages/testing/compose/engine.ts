import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { StartError } from '@cashflow/dev-stack'

const run = promisify(execFile)

export type Command = readonly [program: string, ...args: string[]]

/**
 * Finds Compose: Docker's plug-in, or else the separate program.
 *
 * @throws StartError when Compose or the engine is missing
 */
export async function findCompose(): Promise<Command> {
  if (!(await succeeds('docker', 'info'))) {
    throw new StartError(
      'No Docker engine answers. Check with "docker info" that one is running and that this user may reach it.',
    )
  }
  if (await succeeds('docker', 'compose', 'version')) return ['docker', 'compose']
  if (await succeeds('docker-compose', 'version')) return ['docker-compose']
  throw new StartError('Docker Compose is missing: neither "docker compose" nor "docker-compose" runs.')
}

function succeeds(program: string, ...args: string[]): Promise<boolean> {
  return run(program, args).then(
    () => true,
    () => false,
  )
}
