import type { Done } from '@cashflow/db'
import {
  discard,
  listActions,
  requeue,
  type Selection,
  searchDeadLetters,
  selectDeadLetters,
} from '@cashflow/db/operator'
import { findDeadLetter } from '@cashflow/outbox'
import { jsonLine, redactedErrorMessage } from '@cashflow/runtime'
import { type Command, InvalidArgumentError } from '@commander-js/extra-typings'
import { durationMs, limitUpTo, numberedId, reasonText } from '../arguments.ts'
import { examples } from '../help.ts'
import { untilInterrupt } from '../interrupt.ts'
import { showWithout } from '../left-out.ts'
import { type Act, type Context, print } from '../run-command.ts'
import { clipped, type Fields } from '../show.ts'
import { toActionFields } from './audit.ts'

const LIMIT = 1_000
const LIMIT_MAX = 10_000
const OVER_MAX_DAYS = 3_650
const ACTS_MAX = 100

const HELP = `
Short forms: npm run dead -- list and docker compose run --rm migrate dead list`

const BY_FILTER = `
Give ids, or a filter. A filter needs two runs: --dry-run prints how many dead letters it selects, and a hash of their ids.
The same filter with --expect and this hash acts on exactly these, and is refused if it selects others by then. Each dead
letter is a transaction of its own. One that is refused is listed, and stops no other.
`

export function addDeadLetterCommands(program: Command, choose: (act: Act) => void): void {
  const dead = program.command('dead').description('dead letters: payments and messages that need an operator')
  dead.addHelpText('after', HELP)
  withFilter(dead.command('list'))
    .description('print unresolved dead letters, the oldest first')
    .addHelpText('after', examples('dead list', "dead list --source outbox --containing 'no queue' --over 1h --json"))
    .action((filter) => choose(list(filter)))
  dead
    .command('show')
    .description('print all of a dead letter, and what operators did about it')
    .argument('<id>', 'id of the dead letter, as list prints it', deadLetterId)
    .addHelpText('after', examples('dead show 17'))
    .action((id) => choose(show(id)))
  withExpectation(withFilter(dead.command('requeue')))
    .description('resolve dead letters, and send their payments or messages through the pipeline again')
    .argument('[id...]', 'ids of dead letters, as list prints them', deadLetterIds)
    .option('--reason <text>', 'why, stored with the act', reasonText)
    .addHelpText('after', BY_FILTER + examples('dead requeue 17 18', ...filterExamples('requeue')))
    .action((ids = [], options, command) => {
      refuseBoth(ids, options, command)
      const act: Resolving = (id, { db, ...by }) => requeue(db, id, { by, reason: options.reason })
      choose(resolveAll(ids, options, { resolution: 'requeued', act }))
    })
  withExpectation(withFilter(dead.command('discard')))
    .description('resolve dead letters, and do nothing else')
    .argument('[id...]', 'ids of dead letters, as list prints them', deadLetterIds)
    .option('--reason <text>', 'why, stored with the dead letters; needed, except with --dry-run', reasonText)
    .addHelpText(
      'after',
      BY_FILTER +
        examples("dead discard 18 --reason 'a test message'", ...filterExamples('discard', " --reason 'a test'")),
    )
    .action((ids = [], options, command) => {
      refuseBoth(ids, options, command)
      const { reason = '', dryRun } = options
      if (reason === '' && !dryRun) command.error('error: give --reason')
      const act: Resolving = (id, { db, ...by }) => discard(db, id, { by, reason })
      choose(resolveAll(ids, options, { resolution: 'discarded', act }))
    })
}

function filterExamples(name: string, more = ''): string[] {
  const filter = `dead ${name} --source queue --over 1h`
  return [`${filter} --dry-run`, `${filter} --expect 1f0a9c5e77b2d340${more}`]
}

function withFilter(command: Command) {
  return command
    .option('--source <name>', 'only those of this source, such as worker, outbox or queue', someText)
    .option('--topic <name>', 'only those of this topic, such as payment.retry', someText)
    .option('--containing <text>', 'only those whose reason contains this text', someText)
    .option(
      '--over <duration>',
      'only those that are older, such as 1h',
      durationMs({ minMs: 0, maxMs: OVER_MAX_DAYS * 86_400_000 }),
    )
    .option('--limit <number>', `at most this many, the oldest (default: ${LIMIT})`, limitUpTo(LIMIT_MAX))
}

function withExpectation(command: ReturnType<typeof withFilter>) {
  return command
    .option('--dry-run', 'change nothing, and print how many the filter selects, and a hash of their ids')
    .option('--expect <hash>', 'act on what the filter selects, if it has this hash', someHash)
}

interface Filter {
  source?: string
  topic?: string
  containing?: string
  over?: number
  limit?: number
}

type ByFilter = Filter & { dryRun?: true; expect?: string }

function refuseBoth(
  ids: readonly string[],
  { reason, dryRun, expect, ...filter }: ByFilter & { reason?: string },
  command: Pick<Command, 'error'>,
): void {
  const hasFilter = dryRun || expect !== undefined || Object.keys(filter).length > 0
  if (ids.length > 0 && hasFilter)
    command.error('error: give ids, or a filter with --dry-run or --expect, and not both')
  if (ids.length === 0 && (dryRun === true) === (expect !== undefined))
    command.error('error: a filter needs --dry-run, and then --expect with the hash that it prints')
}

const toQuery = ({ source, topic, containing, over, limit = LIMIT }: Filter) => ({
  ...{ source, topic, reason: containing, ageMinMs: over, limit },
})

function list(filter: Filter): Act {
  return async ({ db, json, show }) => {
    const query = toQuery(filter)
    const { letters, leftOut } = await searchDeadLetters(db, { ...query, limit: query.limit + 1 })
    const shown = letters.slice(0, query.limit)
    return await showWithout({ leftOut, none: 'No dead letters.' }, async (none) => {
      if (!json)
        await show(
          shown.map(({ id, source, topic, key, attempts, diedAt, reason }) => ({
            ...{ id, source, topic, key, attempts, died_at: diedAt, reason: clipped(reason) },
          })),
          { none },
        )
      else for (const { resolution, diedAt, ...letter } of shown) await print(jsonLine({ ...letter, died_at: diedAt }))
      if (letters.length > shown.length) process.stderr.write(`There are more than ${shown.length}. Raise --limit.\n`)
    })
  }
}

function show(id: string): Act {
  return async ({ db, json, show }) => {
    const letter = await findDeadLetter(db, id)
    if (!letter) return { done: false, why: 'No dead letter has this id.' }
    const acts = (await listActions(db, { target: id, limit: ACTS_MAX })).map((act) => toActionFields(act))
    const { messageId, diedAt, createdAt, resolvedAt, payload, headers, ...facts } = letter
    const more = { message_id: messageId, created_at: createdAt, died_at: diedAt, resolved_at: resolvedAt }
    if (json) {
      await print(jsonLine({ ...facts, ...more, payload, headers, acts }))
      return { done: true }
    }
    await show({
      ...facts,
      ...more,
      payload: clipped(JSON.stringify(payload), 2_000),
      headers: JSON.stringify(headers),
    })
    await show(acts)
    return { done: true }
  }
}

type Resolving = (id: string, context: Context) => Promise<Done>

interface Resolution {
  readonly resolution: string
  readonly act: Resolving
}

function resolveAll(ids: readonly string[], options: ByFilter, resolution: Resolution): Act {
  return async (context) => {
    if (ids.length > 0) return await resolveEach(context, ids, resolution)
    const selection = await selectDeadLetters(context.db, toQuery(options))
    if (options.dryRun) {
      await context.show({ dead_letters: selection.ids.length, hash: selection.hash, more: selection.hasMore })
      return { done: true }
    }
    if (selection.hash !== options.expect) return { done: false, why: differs(selection) }
    return await resolveEach(context, selection.ids, resolution)
  }
}

function differs({ ids, hash }: Selection): string {
  return `The filter selects other dead letters than expected: ${ids.length} with the hash ${hash}. Nothing was changed. Look at them again with --dry-run.`
}

/**
 * A dead letter that is refused stops no other. Prints each result, also if the command cannot go on: then the last one is
 * unknown, as its COMMIT may have arrived.
 */
async function resolveEach(context: Context, ids: readonly string[], { resolution, act }: Resolution): Promise<Done> {
  const interrupted = untilInterrupt()
  const results: Fields[] = []
  const notReached = () => `${ids.length - results.length} of ${ids.length} dead letters were not reached.`
  let refused: string | undefined
  try {
    for (const id of ids) {
      if (interrupted.aborted) break
      context.progress.report(`${results.length} of ${ids.length} dead letters`)
      const result = await act(id, context).catch((error) => {
        results.push({ id, resolution: 'unknown', why: redactedErrorMessage(error) })
        throw error
      })
      if (!result.done) refused = result.why
      results.push({
        id,
        resolution: result.done ? resolution : 'refused',
        ...(ids.length > 1 && { why: result.done ? null : result.why }),
      })
    }
  } finally {
    if (ids.length > 1) await context.show(results)
    if (ids.length > 1 && results.at(-1)?.resolution === 'unknown') process.stderr.write(`${notReached()}\n`)
  }
  if (results.length < ids.length) return { done: false, why: `Interrupted: ${notReached()}` }
  if (refused === undefined) {
    if (ids.length === 1) await context.show(results[0] ?? [])
    return { done: true }
  }
  const refusals = results.filter((result) => result.resolution === 'refused').length
  return { done: false, why: ids.length === 1 ? refused : `${refusals} of ${ids.length} dead letters were refused.` }
}

const deadLetterId = numberedId('a dead letter')

function deadLetterIds(text: string, before: readonly string[] = []): string[] {
  return [...new Set([...before, deadLetterId(text)])]
}

function someText(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('The text is empty.')
  return text
}

function someHash(text: string): string {
  if (!/^[0-9a-f]{16}$/.test(text))
    throw new InvalidArgumentError('The hash has 16 characters, as --dry-run prints it.')
  return text
}
