import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

export type Command = readonly [program: string, ...args: string[]]

/** This machine cannot run containers. */
export class NoEngine extends Error {}

/**
 * Finds Compose: Docker's plug-in, or else the separate program.
 *
 * @throws NoEngine when Compose or the engine is missing
 */
export async function findCompose(): Promise<Command> {
  if (!(await succeeds('docker', 'info'))) {
    throw new NoEngine(
      'No Docker engine answers. Check with "docker info" that one is running and that this user may reach it.',
    )
  }
  if (await succeeds('docker', 'compose', 'version')) return ['docker', 'compose']
  if (await succeeds('docker-compose', 'version')) return ['docker-compose']
  throw new NoEngine('Docker Compose is missing: neither "docker compose" nor "docker-compose" runs.')
}

function succeeds(program: string, ...args: string[]): Promise<boolean> {
  return run(program, args).then(
    () => true,
    () => false,
  )
}
