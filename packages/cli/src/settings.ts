import { readFileSync } from 'node:fs'
import { type Pepper, pepperEnv } from '@cashflow/db'
import {
  ConfigError,
  databaseEnv,
  databaseUrl,
  type Env,
  isProduction,
  isSandbox,
  parseEnv,
  readConfig,
  sandboxEnv,
  standbyEnv,
} from '@cashflow/runtime'
import { type SealingKey, secretsEnv } from '@cashflow/webhook-sender'
import * as z from 'zod'

/** The settings of every command. */
export const operatorEnv = z.object({ ...databaseEnv, ...standbyEnv, ...sandboxEnv, ...pepperEnv, ...secretsEnv })

/** What `npm start` writes while its stack runs, in the folder where it runs. */
export const STACK_FILE = '.cashflow/stack.json'

export interface OperatorSettings {
  readonly url: string
  readonly sandbox: boolean
  readonly standbyRequired: boolean
  readonly peppers: readonly [Pepper, ...Pepper[]] | undefined
  /** What secrets of webhook endpoints are sealed with. The first one seals, all of them open. */
  readonly secretKeys: readonly [SealingKey, ...SealingKey[]] | undefined
  /** The servers of the stack that runs here. Undefined if a setting names PostgreSQL, or none runs. */
  readonly stack: Stack | undefined
  /** The environment, with the variables of `.env`. */
  readonly env: Env
  /** Names of the variables that `.env` has set. */
  readonly fromFile: ReadonlySet<string>
}

/** @throws ConfigError that names what is not usable */
export function readSettings(): OperatorSettings {
  return readConfig((env, fromFile) => {
    const settings = parseEnv(operatorEnv, env)
    const stack = env.DATABASE_URL || env.DB_HOST || isProduction(env) ? undefined : readStack()
    return {
      url: stack?.database_url ?? databaseUrl(settings),
      sandbox: isSandbox(settings, env),
      standbyRequired: settings.REQUIRE_STANDBY === 'yes',
      peppers: settings.KEY_PEPPER,
      secretKeys: settings.SECRETS_KEY,
      stack,
      env,
      fromFile,
    }
  })
}

const stackFile = z.object({ database_url: databaseEnv.DATABASE_URL.unwrap(), rabbitmq_url: z.string().optional() })

export type Stack = z.output<typeof stackFile>

function readStack(): Stack | undefined {
  try {
    return stackFile.parse(JSON.parse(readFileSync(STACK_FILE, 'utf8')))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new ConfigError([`${STACK_FILE}: cannot be read. Run "npm start" again, or set DATABASE_URL`])
  }
}
