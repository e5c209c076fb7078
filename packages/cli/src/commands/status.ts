import { pause } from '@cashflow/async'
import type { Done } from '@cashflow/db'
import { type Look, ratesBetween, readStatus, type SystemStatus } from '@cashflow/db/operator'
import { jsonLine, visible } from '@cashflow/runtime'
import type { Command } from '@commander-js/extra-typings'
import { examples } from '../help.ts'
import { type Act, type Context, explainFailure, noteFound, print } from '../run-command.ts'
import { overOf, statusJson, statusLines } from '../status-format.ts'

/** Time between the two looks that rates come from, in milliseconds: a process writes its counters every 2 seconds. */
const RATES_MS = 5_000
const WATCH_MS = 2_000
/** Looks of a watch that rates span. */
const LOOKS_KEPT = 4

const HELP = `
It reads PostgreSQL only, and takes 5 seconds for the rates. What is over a threshold of the alerts is marked with "!", and the
exit code is then 1. With --watch it goes on until Ctrl-C, also while PostgreSQL is away.
`

export function addStatusCommand(program: Command, choose: (act: Act) => void): void {
  program
    .command('status')
    .description('print rates, backlog, queues, dead letters, pauses and processes')
    .option('--watch', 'print it again every 2 seconds, until Ctrl-C')
    .addHelpText('after', HELP + examples('status', 'status --watch', 'status --json'))
    .action(({ watch: isWatch }) => choose(isWatch ? watch : printStatus))
}

const printStatus: Act = async ({ db, json, progress }): Promise<Done> => {
  const before = await readStatus(db)
  progress.report(`Rates need ${RATES_MS / 1_000} seconds …`)
  await pause(RATES_MS)
  const look = lookOf(await readStatus(db), before)
  progress.clear()
  const over = overOf(look)
  if (over.length > 0) noteFound()
  await print(json ? jsonLine(statusJson(look)) : statusLines(look).join('\n'))
  return over.length === 0 ? { done: true } : { done: false, why: `${over.length} marked with "!".` }
}

function lookOf(status: SystemStatus, before: SystemStatus | undefined): Look {
  const rates = before?.instances && status.instances && ratesBetween(before.instances, status.instances)
  return { status, rates }
}

const watch: Act = async (context): Promise<never> => {
  // At once: a look may wait for a silent server.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(0))
  const looks: SystemStatus[] = []
  for (;;) {
    await draw(await lookAgain(context, looks))
    await pause(WATCH_MS)
  }
}

/** Returns what to draw. PostgreSQL being away does not end the watch. */
async function lookAgain({ db, json }: Context, looks: SystemStatus[]): Promise<string[]> {
  try {
    const status = await readStatus(db)
    const look = lookOf(status, looks[0])
    looks.push(status)
    if (looks.length > LOOKS_KEPT) looks.shift()
    return json ? [jsonLine(statusJson(look))] : statusLines(look)
  } catch (error) {
    looks.length = 0
    const at = new Date()
    const why = explainFailure(error)
    return json ? [jsonLine({ at, error: why })] : [at.toISOString(), visible(why), 'Trying again …']
  }
}

const [HOME, CLEAR_TO_END_OF_LINE, CLEAR_BELOW] = ['\u001b[H', '\u001b[K', '\u001b[J']
/** Without them a terminal continues a long line in the next one. */
const [CUT_LINES, WRAP_LINES] = ['\u001b[?7l', '\u001b[?7h']

/** Draws lines in place of the last ones on a terminal, cut at its size. Elsewhere it prints them below. */
async function draw(lines: readonly string[]): Promise<void> {
  const { isTTY, rows } = process.stdout
  if (!isTTY) return await print(lines.join('\n'))
  const shown = lines.slice(0, rows - 1).map((line) => line + CLEAR_TO_END_OF_LINE)
  await print(`${CUT_LINES}${HOME}${shown.join('\n')}${CLEAR_BELOW}${WRAP_LINES}`)
}
