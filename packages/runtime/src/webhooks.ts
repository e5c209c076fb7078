import type * as z from 'zod'
import { areReadable, type Env } from './env.ts'
import { isSandbox, sandboxEnv, yesOrNo } from './settings.ts'

/**
 * The default `SECRETS_KEY` of docker-compose.yml. Everyone can read it there, so it protects nothing: a process refuses it
 * with `SANDBOX=no`.
 */
export const PUBLIC_SECRETS_KEY = 'everyone_knows_this_key_so_it_protects_nothing'

/** What the api checks at registration, and the webhooks service before each connection. */
export const webhookEnv = {
  ...sandboxEnv,
  WEBHOOK_ALLOW_PRIVATE: yesOrNo.default('no'),
}

type WebhookEnv = z.output<z.ZodObject<typeof webhookEnv>>

/** The arguments of a schema's `refine`. */
type Rule = [
  holds: (settings: WebhookEnv) => boolean,
  params: { path: string[]; message: string; when: ReturnType<typeof areReadable> },
]

/** The rules of webhooks where money moves. The api and the webhooks service have the same. */
export function webhookRules(env: Env): { isPrivateAllowed: Rule; isKeySecret: Rule } {
  const keys = (env.SECRETS_KEY ?? '').split(',').map((key) => key.trim())
  return {
    isPrivateAllowed: [
      (settings) => settings.WEBHOOK_ALLOW_PRIVATE === 'no' || isSandbox(settings, env),
      {
        path: ['WEBHOOK_ALLOW_PRIVATE'],
        message: 'must be no with SANDBOX=no: a merchant could reach the services of your network',
        when: areReadable('WEBHOOK_ALLOW_PRIVATE', 'SANDBOX'),
      },
    ],
    isKeySecret: [
      (settings) => !keys.includes(PUBLIC_SECRETS_KEY) || isSandbox(settings, env),
      {
        path: ['SECRETS_KEY'],
        message: 'must be a key of your own with SANDBOX=no: the one of docker-compose.yml is public',
        when: areReadable('SANDBOX'),
      },
    ],
  }
}
