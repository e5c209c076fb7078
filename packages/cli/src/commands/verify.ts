import { createHash } from 'node:crypto'
import { readCursorSecret } from '@cashflow/db'
import { type Finding, type VerifiedCounts, verify } from '@cashflow/db/operator'
import { jsonLine, visible } from '@cashflow/runtime'
import { type Command, Option } from '@commander-js/extra-typings'
import { durationMs, uuidOf } from '../arguments.ts'
import { examples } from '../help.ts'
import { untilInterrupt } from '../interrupt.ts'
import { type Act, type Context, noteFound, print } from '../run-command.ts'
import { openHeads } from '../verify/read-heads.ts'
import { createHeadsWriter } from '../verify/write-heads.ts'

const SINCE_MAX_DAYS = 36_500

const HELP = `
It reads all payments while the services run, and prints a line for each finding. It changes nothing, except with --seal.
The hashes do not tell that a whole history was rewritten with new hashes, or that a payment was deleted. Export the heads,
keep the file on a system that administrators of the database cannot write to, and compare it later.
`

export function addVerifyCommand(program: Command, choose: (act: Act) => void): void {
  const whole = ['since', 'seal', 'export', 'against']
  program
    .command('verify')
    .description('compare payments with their history, and their history with its hashes')
    .argument(
      '[payment id]',
      'only this payment (default: all payments, and all messages about them)',
      uuidOf('payment'),
    )
    .option(
      '--since <duration>',
      'only payments created since, such as 24h or 30d',
      durationMs({ minMs: 1_000, maxMs: SINCE_MAX_DAYS * 86_400_000 }),
    )
    .option('--all-sealed', 'every event must have a hash: after --seal, when no service of an earlier version runs')
    .addOption(
      new Option('--seal', 'store the hashes that events of earlier versions lack').conflicts([
        'since',
        'allSealed',
        'export',
        'against',
      ]),
    )
    .addOption(new Option('--export <file>', 'write the head of each history to a new file').conflicts('since'))
    .addOption(new Option('--against <file>', 'find what was rewritten or deleted since an export').conflicts('since'))
    .addHelpText(
      'after',
      HELP +
        examples(
          'verify',
          'verify 0197f3c0-0000-7000-8000-0123456789ab',
          'verify --export heads-2026-11-30.txt',
          'verify --against heads-2026-11-30.txt --export heads-2026-12-07.txt',
        ),
    )
    .action((paymentId, options, command) => {
      const other = whole.find((name) => name in options)
      if (paymentId !== undefined && other) command.error(`error: --${other} is for all payments, not for one`)
      choose((context) => run(context, { paymentId, ...options }))
    })
}

interface Options {
  readonly paymentId: string | undefined
  readonly since?: number | undefined
  readonly allSealed?: true | undefined
  readonly seal?: true | undefined
  readonly export?: string | undefined
  readonly against?: string | undefined
}

async function run(context: Context, options: Options): ReturnType<Act> {
  const { db, progress, show, actor, via } = context
  const source = await sourceOf(context)
  const against = options.against === undefined ? undefined : await openHeads(options.against)
  if (against && against.source !== source) throw new Error(`${options.against} was exported from another database.`)
  if (against && against.findings > 0) warn(context, exportedWithFindings(options.against, against.findings))
  const interrupted = options.export === undefined ? undefined : untilInterrupt()
  const writer = options.export === undefined ? undefined : await createHeadsWriter(options.export, source)
  try {
    const counts = await verify(db, {
      paymentId: options.paymentId,
      since: options.since === undefined ? undefined : new Date(Date.now() - options.since),
      isSealed: options.allSealed === true,
      sealsAs: options.seal ? { actor, via } : undefined,
      report: (finding) => printFinding(context, finding),
      onUnsealedEnd: (paymentId) => printUnsealedEnd(context, paymentId),
      onProgress: (now) => {
        if (interrupted?.aborted) throw new Error('Interrupted. Nothing was exported.')
        progress.report(
          `${now.payments} payments, ${now.deliveries} deliveries, ${now.messages} messages, ${now.findings} findings`,
        )
      },
      onHead: writer && ((head) => writer.write(head)),
      against: against?.heads(),
    })
    const { unsealedEnds, compared, notInExport, ...others } = counts
    const fields = { ...others, unsealed_ends: unsealedEnds }
    const exported = await writer?.finish(fields)
    const result = resultOf(counts, options)
    if (!result.done) noteFound()
    await show({
      ...fields,
      ...(compared !== undefined && { compared, not_in_export: notInExport ?? 0 }),
      ...(exported !== undefined && { exported_heads: exported, exported_to: options.export ?? '' }),
    })
    return result
  } finally {
    await writer?.discard()
  }
}

function resultOf(
  { payments, findings, unsealed }: VerifiedCounts,
  { paymentId, seal, export: exported, against }: Options,
): Awaited<ReturnType<Act>> {
  if (findings > 0)
    return { done: false, why: `${findings} findings.${exported === undefined ? '' : keepEarlier(exported, against)}` }
  if (paymentId !== undefined && payments === 0) return { done: false, why: 'No payment has this id.' }
  if (seal && unsealed > 0)
    return { done: false, why: `${unsealed} payments are not sealed, because other sessions use them. Run it again.` }
  return { done: true }
}

/** The file is evidence. As a reference it would hide what was found. */
function keepEarlier(exported: string, against: string | undefined): string {
  const earlier = against === undefined ? '' : ` Keep ${against}, and compare with it until each is explained.`
  return ` ${exported} has the changed payments as they are now.${earlier}`
}

function exportedWithFindings(file: string | undefined, findings: number): string {
  return `${file} was written by a run with ${findings} findings: what it found may not be found again. Compare with an earlier file too.`
}

function warn({ progress }: Context, text: string): void {
  progress.clear()
  process.stderr.write(`${visible(text)}\n`)
}

/** Identifies the database, also after it was restored elsewhere. It does not tell the secret. */
async function sourceOf({ db }: Context): Promise<string> {
  return createHash('sha256')
    .update('cashflow heads')
    .update(await readCursorSecret(db))
    .digest('hex')
    .slice(0, 16)
}

function printFinding({ json, progress }: Context, { paymentId, what, expected, found }: Finding): Promise<void> {
  noteFound()
  progress.clear()
  if (json) return print(jsonLine({ payment_id: paymentId, what, expected, found }))
  return print(visible(`${paymentId ?? '-'}  ${what}: expected ${quoted(expected)}, found ${quoted(found)}`))
}

function printUnsealedEnd({ json, progress }: Context, paymentId: string): Promise<void> {
  progress.clear()
  if (json) return print(jsonLine({ payment_id: paymentId, what: 'unsealed end' }))
  return print(`${paymentId}  its end has no hash, behind events with hashes`)
}

function quoted(text: string | null): string {
  return text === null ? 'nothing' : `"${text}"`
}
