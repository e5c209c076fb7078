import * as z from 'zod'
import { areReadable, type Env, isProduction } from './env.ts'
import { isSandbox, sandboxEnv } from './settings.ts'

/**
 * What moves the money. The api and the worker read it by the same rules: an outcome that the api lets a client choose must
 * be one that the worker simulates.
 */
export const providerEnv = {
  ...sandboxEnv,
  PROVIDER: z.enum(['simulated', 'http'], 'must be simulated or http').optional(),
}

type ProviderEnv = z.output<z.ZodObject<typeof providerEnv>>

/** The arguments of a schema's `refine`. */
type Rule = [
  holds: (settings: ProviderEnv) => boolean,
  params: { path: string[]; message: string; when: ReturnType<typeof areReadable> },
]

/**
 * The rules of `PROVIDER`. Only a sandbox outside of production has a default, and only a sandbox may be simulated: a missing
 * setting must neither settle payments by chance, nor charge a payment that asks for a simulated outcome.
 */
export function providerRules(env: Env): { isChosen: Rule; isAllowed: Rule } {
  const production = isProduction(env)
  const when = areReadable('PROVIDER', 'SANDBOX')
  return {
    isChosen: [
      (settings) => settings.PROVIDER !== undefined || (isSandbox(settings, env) && !production),
      {
        path: ['PROVIDER'],
        message: production
          ? 'must be http or simulated, and has no default with APP_ENV=production'
          : 'must be http, and has no default with SANDBOX=no',
        when,
      },
    ],
    isAllowed: [
      (settings) => settings.PROVIDER !== 'simulated' || isSandbox(settings, env),
      {
        path: ['SANDBOX'],
        message: 'must be yes with PROVIDER=simulated, which settles payments by chance and moves no money',
        when,
      },
    ],
  }
}

/** The provider of settings for which `providerRules` hold. */
export function providerKind({ PROVIDER = 'simulated' }: ProviderEnv): 'simulated' | 'http' {
  return PROVIDER
}
