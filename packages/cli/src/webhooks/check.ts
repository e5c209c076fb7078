import { jsonLine, visible } from '@cashflow/runtime'
import {
  type CheckedCase,
  type CheckedRequest,
  checkReceiver,
  checkUrl,
  createSender,
  isWebhookSecret,
  type ReceiverReport,
  reportJson,
} from '@cashflow/webhook-sender'
import { type Command, InvalidArgumentError, Option } from '@commander-js/extra-typings'
import { examples } from '../help.ts'
import { untilInterrupt } from '../interrupt.ts'
import { noteFound, type OutsideAct, print } from '../run-command.ts'
import { clipped } from '../show.ts'

/** It runs where the receiver is developed, so it may be on the same machine. */
const POLICY = { allowPrivate: true }
const NO_SECRET = 'set CASHFLOW_WEBHOOK_SECRET, or --secret, to the secret of the receiver'
const WRONG_SECRET = 'the secret has to be one, of whsec_ and 24 to 64 bytes in base64, as the API showed it'
const URL_EXAMPLE = 'http://127.0.0.1:3000/cashflow'

const HELP = `
It sends valid, forged, stale, repeated, unknown, large and reordered events from this machine. They have the type webhook.check
and name no payment. The receiver shows what it did with an event in the header Webhook-Outcome of its answer: handled,
duplicate, outdated or ignored. It needs no settings, no database and no service of ours. Exit code 1 means that it found a mistake, or could not
see all.
`

/** @param webhooks the command `webhooks` */
export function addCheckCommand(webhooks: Command, choose: (act: OutsideAct) => void): void {
  webhooks
    .command('check')
    .description('check a receiver of webhooks, and print what it wrongly took or refused')
    .argument('<url>', `where the receiver takes webhooks, such as ${URL_EXAMPLE}`, receiverUrl)
    .addOption(
      // Other users of the machine see the arguments of a process, and not its environment.
      new Option('--secret <secret>', 'the secret that the receiver verifies with, such as whsec_…').env(
        'CASHFLOW_WEBHOOK_SECRET',
      ),
    )
    .addHelpText(
      'after',
      HELP + examples(`webhooks check ${URL_EXAMPLE} --secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`),
    )
    .action((url, { secret }, command) => {
      if (!secret) return command.error(`error: ${NO_SECRET}`)
      // Commander's own error would show the secret.
      if (!isWebhookSecret(secret)) return command.error(`error: ${WRONG_SECRET}`)
      choose(check(url, secret))
    })
}

function receiverUrl(text: string): string {
  const checked = checkUrl(text, POLICY)
  if ('refused' in checked) throw new InvalidArgumentError(`The URL ${checked.refused}.`)
  return text
}

function check(url: string, secret: string): OutsideAct {
  return async ({ json, show, progress }) => {
    const sender = createSender({ policy: POLICY })
    const report = await checkReceiver({
      ...{ sender, url, secrets: [secret] },
      signal: untilInterrupt(),
      onCase: ({ name }) => progress.report(name),
    })
    await sender.close()
    if (report.result !== 'passed') noteFound()
    if (json) await print(jsonLine(reportJson(report)))
    else {
      await show(report.cases.map(toColumns))
      await print(['', ...explained(report), summaryOf(report)].join('\n'))
    }
    return outcomeOf(report)
  }
}

const toColumns = ({ name, expected, result, requests }: CheckedCase) => ({
  case: name,
  expected,
  result: result === 'failed' ? 'FAILED' : result.replace('_', ' '),
  answers: requests.map(answerText).join(', ') || null,
  ms: requests.length === 0 ? null : Math.max(...requests.map(({ durationMs }) => durationMs)),
})

const answerText = ({ status, error, outcome }: CheckedRequest) =>
  status === null ? error?.replace(/:.*/, '') : `${status}${outcome === null ? '' : ` ${outcome}`}`

/** What is wrong or not shown, each once with its cases, and what the receiver itself has said. */
function explained({ cases }: ReceiverReport): string[] {
  const withDetail = cases.filter(({ detail }) => detail !== null)
  return [...Map.groupBy(withDetail, ({ detail }) => detail)].flatMap(([detail, alike]) => {
    const [answer] = alike.flatMap(({ result, requests }) =>
      result === 'failed' ? requests.filter((request) => request.answer).map((request) => request.answer ?? '') : [],
    )
    const said = answer ? [`  It answered: ${visible(clipped(answer, 200))}`] : []
    return [`${alike.map(({ name }) => name).join(', ')}: ${detail}`, ...said, '']
  })
}

function summaryOf({ cases }: ReceiverReport): string {
  const counts = Map.groupBy(cases, ({ result }) => result)
  if (counts.size === 1 && counts.has('passed')) return `All ${cases.length} cases passed.`
  return `${Array.from(counts, ([result, { length }]) => `${length} ${result.replace('_', ' ')}`).join(', ')}.`
}

function outcomeOf(report: ReceiverReport) {
  if (report.result === 'passed') return { done: true } as const
  return { done: false, why: `The receiver did not pass: ${summaryOf(report)}` } as const
}
