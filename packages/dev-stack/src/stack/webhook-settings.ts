import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { readIfThere, writeFileAtomically } from '../files.ts'
import type { StackOptions } from './context.ts'

/**
 * Settings of webhooks, for the api and the webhooks service. A sandbox gets a key of its own, once, and may send to this
 * machine. Undefined if no key is given and this is no sandbox: the secrets of merchants must not hang on a file of a checkout.
 */
export function webhookSettings(
  options: Pick<StackOptions, 'stateDir' | 'settings' | 'env'>,
): { SECRETS_KEY?: string; WEBHOOK_ALLOW_PRIVATE?: string } | undefined {
  const { stateDir, settings, env } = options
  const isKeyGiven = Boolean(env.SECRETS_KEY || env.SECRETS_KEY_FILE)
  if (!settings.sandbox) return isKeyGiven ? {} : undefined
  return {
    ...(isKeyGiven ? {} : { SECRETS_KEY: keptKey(join(stateDir, 'secrets_key')) }),
    WEBHOOK_ALLOW_PRIVATE: env.WEBHOOK_ALLOW_PRIVATE || 'yes',
  }
}

/** The key in the file, which is made if it is missing. */
function keptKey(file: string): string {
  const kept = readIfThere(file)?.trim()
  if (kept) return kept
  const made = randomBytes(32).toString('base64')
  writeFileAtomically(file, `${made}\n`)
  return made
}
