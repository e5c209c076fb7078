import { KEY_SCOPES, type KeyScope, type Pepper } from '@cashflow/db'
import { createKey, type KeyFacts, listKeys, revokeKey, rotateKey } from '@cashflow/db/operator'
import { redactedErrorMessage } from '@cashflow/runtime'
import { type Command, Option } from '@commander-js/extra-typings'
import { durationMs, futureTime, keyId, nameText, scopeList, uuidOf } from '../arguments.ts'
import { examples } from '../help.ts'
import type { Act, Context } from '../run-command.ts'
import type { Fields } from '../show.ts'

const DAY_MS = 86_400_000
const EXPIRES_MAX_DAYS = 3_650
const OVERLAP_MAX_DAYS = 90

const NEEDS_PEPPER = `
It needs KEY_PEPPER, the same as the api's. A secret is printed once, and cannot be had again: if it got lost, revoke or
rotate its key.
`

export function addKeyCommands(program: Command, choose: (act: Act) => void): void {
  const keys = program.command('keys').description('keys: what clients of a merchant authenticate with')
  keys
    .command('create')
    .description('create a key, and print its secret')
    .requiredOption('--merchant <id>', 'id of the merchant', uuidOf('merchant'))
    .option('--name <name>', 'a name for people', nameText, 'default')
    .option('--scopes <list>', `what the key may do, of ${KEY_SCOPES.join(',')}`, scopeList, KEY_SCOPES)
    .addOption(
      new Option('--expires-in <duration>', 'such as 90d or 12h; without it a key does not expire')
        .argParser(durationMs({ minMs: 1_000, maxMs: EXPIRES_MAX_DAYS * DAY_MS }))
        .conflicts('expiresAt'),
    )
    .option('--expires-at <time>', 'such as 2030-01-31 or 2030-01-31T12:00:00Z', futureTime)
    .addHelpText(
      'after',
      NEEDS_PEPPER +
        examples('keys create --merchant 0197f3c0-0000-7000-8000-0123456789ab --name shop --expires-in 90d'),
    )
    .action((options) => choose(create(options)))
  keys
    .command('list')
    .description('print keys, the oldest first')
    .option('--merchant <id>', 'only those of this merchant', uuidOf('merchant'))
    .addHelpText('after', examples('keys list', 'keys list --merchant 0197f3c0-0000-7000-8000-0123456789ab'))
    .action(({ merchant }) => choose(list(merchant)))
  keys
    .command('revoke')
    .description('revoke a key, forever; the api refuses it within 5 seconds')
    .argument('<id>', 'id of the key, as list prints it', keyId)
    .addHelpText('after', examples('keys revoke 0kUlpfeHMOVcc'))
    .action((id) => choose(revoke(id)))
  keys
    .command('rotate')
    .description('create the successor of a key, and print its secret; after the overlap the former key expires')
    .argument('<id>', 'id of the key, as list prints it', keyId)
    .addOption(
      new Option('--overlap <duration>', 'time for which both keys are valid, such as 24h or 0s')
        .argParser(durationMs({ minMs: 0, maxMs: OVERLAP_MAX_DAYS * DAY_MS }))
        .default(DAY_MS, '24h'),
    )
    .addHelpText('after', NEEDS_PEPPER + examples('keys rotate 0kUlpfeHMOVcc --overlap 48h'))
    .action((id, { overlap }) => choose(rotate(id, overlap)))
}

interface CreateOptions {
  merchant: string
  name: string
  scopes: readonly KeyScope[]
  expiresIn?: number
  expiresAt?: Date
}

const NO_PEPPER = {
  done: false,
  why: 'KEY_PEPPER is not set. Set the same one as for the api. To make the first one: openssl rand -base64 32',
} as const

function create({ merchant: merchantId, name, scopes, expiresIn, expiresAt }: CreateOptions): Act {
  return async (context) => {
    const { db, sandbox, peppers } = context
    if (!peppers) return NO_PEPPER
    const expires = expiresIn === undefined ? expiresAt : { afterMs: expiresIn }
    const result = await createKey(db, {
      ...{ merchantId, name, scopes, expires, sandbox },
      ...{ pepper: peppers[0], by: context },
    })
    return result.done ? showSecret(context, result) : result
  }
}

function rotate(id: string, overlapMs: number): Act {
  return async (context) => {
    const { db, sandbox, peppers } = context
    if (!peppers) return NO_PEPPER
    const result = await rotateKey(db, { id, overlapMs, sandbox, pepper: peppers[0], by: context })
    if (!result.done) return result
    const { former } = result
    return showSecret(context, result, { replaces: former.id, replaced_expires_at: former.expiresAt })
  }
}

/** If the secret cannot be printed, the operator learns which key has none. */
async function showSecret(
  { show, peppers }: Context,
  { key, secret }: { key: KeyFacts; secret: string },
  more?: Fields,
): ReturnType<Act> {
  try {
    const { id, ...fields } = toFields(key, peppers)
    await show({ id, secret, ...fields, ...more })
    return { done: true }
  } catch (error) {
    const reason = redactedErrorMessage(error)
    return {
      done: false,
      why: `Key ${key.id} is stored, but its secret was not printed: ${reason}. Revoke or rotate it.`,
    }
  }
}

function list(merchantId: string | undefined): Act {
  return async ({ db, show, peppers }) => {
    const result = await listKeys(db, { merchantId })
    if (result.done)
      await show(
        result.keys.map((key) => toFields(key, peppers)),
        { none: 'No keys.' },
      )
    return result
  }
}

function revoke(id: string): Act {
  return async ({ db, show, peppers, ...by }) => {
    const result = await revokeKey(db, { id, by })
    if (result.done) await show(toFields(result.key, peppers))
    return result
  }
}

function toFields(key: KeyFacts, peppers: Context['peppers']) {
  return {
    id: key.id,
    merchant_id: key.merchantId,
    name: key.name,
    status: key.status,
    scopes: key.scopes,
    pepper: pepperOf(key, peppers),
    created_at: key.createdAt,
    expires_at: key.expiresAt,
    revoked_at: key.revokedAt,
    last_used_at: key.lastUsedAt,
    replaced_by: key.replacedBy,
  }
}

/** Null without `KEY_PEPPER`. A key under an unknown pepper is refused. One under an old pepper needs that pepper in the list. */
function pepperOf(
  { pepperId }: KeyFacts,
  peppers: readonly Pepper[] | undefined,
): 'current' | 'old' | 'unknown' | null {
  if (!peppers) return null
  const index = peppers.findIndex(({ id }) => id === pepperId)
  return index < 0 ? 'unknown' : index === 0 ? 'current' : 'old'
}
