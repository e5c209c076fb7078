import { randomBytes } from 'node:crypto'
import { choosePort, freePort } from '../ports.ts'
import type { StackContext } from './context.ts'
import { localUrl } from './local-url.ts'

export type ConsoleSettings = Awaited<ReturnType<typeof consoleSettings>>

/** Settings of the other APIs: one console shows all processes. */
export const WITHOUT_CONSOLE = { CONSOLE_PORT: '' } as const

/**
 * Settings of the console, for the first API, and the URL that logs a browser in. The login token is another one for each
 * start, and a token of the environment is not used.
 *
 * @param apiPorts ports that the APIs are going to use
 */
export async function consoleSettings(
  { settings, say }: Pick<StackContext, 'settings' | 'say'>,
  apiPorts: readonly number[],
) {
  const { consolePort: usual, consoleHost, apiScheme } = settings
  const port = usual === 0 || apiPorts.includes(usual) ? await freePort() : await choosePort('the console', usual, say)
  const token = randomBytes(32).toString('base64url')
  return {
    // A browser sends no fragment to a server, so no log has the token.
    url: `${localUrl(apiScheme, consoleHost, port)}/#token=${token}`,
    env: { CONSOLE_HOST: consoleHost, CONSOLE_PORT: String(port), CONSOLE_TOKEN: token, CONSOLE_TOKEN_FILE: '' },
  }
}
