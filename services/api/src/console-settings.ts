import type { pepperEnv } from '@cashflow/db'
import { listenHost } from '@cashflow/runtime'
import * as z from 'zod'

const PORT_MAX = 65_535
const NAME = /^(\[[\da-f:.]+\]|[\w.-]+)$/i

/** Names separated by commas, in lower case as they are compared. */
const hostNames = z.string().transform((text, context) => {
  const names = text.split(',').map((name) => name.trim().toLowerCase())
  if (names.every((name) => NAME.test(name))) return names
  context.addIssue('must be host names without ports, such as console.example.com,[fd00::1]')
  return z.NEVER
})

export const consoleEnv = {
  CONSOLE_HOST: listenHost.default('127.0.0.1'),
  CONSOLE_PORT: z
    .string()
    .regex(/^\d{1,5}$/, 'must be a whole number')
    .transform(Number)
    .refine((port) => port <= PORT_MAX, `must be at most ${PORT_MAX}`)
    .optional(),
  CONSOLE_HOSTS: hostNames.default([]),
  CONSOLE_TOKEN: z
    .string()
    .regex(/^[!-~]{32,512}$/, 'must have 32 to 512 printable ASCII characters, as "openssl rand -hex 32" makes')
    .optional(),
  CONSOLE_SANDBOX_SOCKET: z.string().optional(),
}

export interface ConsoleSettings {
  readonly host: string
  /** 0 means any free port. */
  readonly port: number
  /** Names by which the console may be called, besides those of loopback. */
  readonly hosts: readonly string[]
  readonly token: string | undefined
  /** Socket of the `npm start` that runs this api. */
  readonly sandboxSocket: string | undefined
  /** Of `KEY_PEPPER`, which signs logins, also with AUTH=none. */
  readonly peppers: z.output<typeof pepperEnv.KEY_PEPPER>
}

/** Undefined without `CONSOLE_PORT`: then there is no console. */
export function consoleSettings(
  settings: z.output<z.ZodObject<typeof consoleEnv & typeof pepperEnv>>,
): ConsoleSettings | undefined {
  const { CONSOLE_HOST: host, CONSOLE_PORT: port, CONSOLE_HOSTS: hosts, CONSOLE_TOKEN: token } = settings
  const { CONSOLE_SANDBOX_SOCKET: sandboxSocket, KEY_PEPPER: peppers } = settings
  return port === undefined ? undefined : { host, port, hosts, token, sandboxSocket, peppers }
}
