import type { Sender } from '../sender.ts'
import { CASES, type CaseContext, FIRST_CASE } from './cases.ts'
import { type CheckRequest, createRequests } from './check-request.ts'
import { isAccepted, isGone, type Judgement } from './judge.ts'
import { type CheckedCase, type CheckedRequest, type ReceiverReport, reportOf } from './report.ts'

export type CheckKind = 'check' | 'ping'

export interface CheckOptions {
  readonly sender: Sender
  readonly url: string
  /** Those that sign: one, or two while the endpoint's secret rotates. */
  readonly secrets: readonly string[]
  /** `ping` sends one valid event only. */
  readonly kind?: CheckKind
  /** Time after which no further case is tried, in milliseconds. */
  readonly deadlineMs?: number
  /** The time that signatures have. */
  readonly now?: () => Date
  /** Ends the check. Cases that are left are not tried. */
  readonly signal?: AbortSignal
  /** Called when a case was tried. */
  readonly onCase?: (tried: CheckedCase) => void
}

/** The whole check, with a receiver that uses up the time of each request. */
export const CHECK_MS = 120_000
/** From this duration on, an endpoint gets few events at a time. */
const SLOW_MS = 2_000
/** Half of the time after which a delivery fails. */
const TOO_SLOW_MS = 10_000

/**
 * Checks a receiver of webhooks: sends valid, forged, stale, repeated, unknown, large and reordered events, and reports what it
 * wrongly took or refused. All of them have the type `webhook.check`, or one that begins with it, and name no payment.
 *
 * Never rejects for what the receiver does. It takes `deadlineMs` at most, by default 2 minutes.
 */
export async function checkReceiver({
  sender,
  url,
  secrets,
  kind = 'check',
  deadlineMs = CHECK_MS,
  now = () => new Date(),
  signal,
  onCase = () => {},
}: CheckOptions): Promise<ReceiverReport> {
  const ending = AbortSignal.any([AbortSignal.timeout(deadlineMs), ...(signal ? [signal] : [])])
  const context: CaseContext = {
    signed: createRequests(now, secrets),
    forged: createRequests(now),
    unkeyed: createRequests(now, ['whsec_']),
    now,
    post: (request) => post({ sender, url, ending }, request),
  }
  const tried: CheckedCase[] = []
  const add = (ended: CheckedCase) => {
    tried.push(ended)
    onCase(ended)
  }
  let isOver = false
  for (const { name, expected, send, judge } of kind === 'ping' ? [FIRST_CASE] : CASES) {
    isOver ||= ending.aborted
    const requests: readonly CheckedRequest[] = isOver ? [] : await send(context)
    // A request that the end of the check has cut off says nothing about the receiver.
    isOver ||= ending.aborted && requests.some(({ status }) => status === null)
    add({ name, expected, requests, ...(isOver ? NOT_TRIED : judge(requests)) })
    isOver ||= (name === FIRST_CASE.name && !requests.every(isAccepted)) || requests.some(isGone)
  }
  const accepted = tried.flatMap(({ requests }) => requests.filter(isAccepted))
  const judgement = accepted.length === 0 ? NOT_TRIED : judgeTime(accepted)
  add({ name: 'answer_time', expected: 'accepted', requests: [], ...judgement })
  return reportOf(tried)
}

const NOT_TRIED = { result: 'not_tried', detail: null } as const

/** A single slow answer may be a cold start. */
function judgeTime(accepted: readonly CheckedRequest[]): Judgement {
  const durations = accepted.map(({ durationMs }) => durationMs).toSorted((one, other) => one - other)
  const medianMs = durations[Math.floor(durations.length / 2)] ?? 0
  const slowestMs = durations.at(-1) ?? 0
  if (slowestMs < SLOW_MS) return { result: 'passed', detail: null }
  const shown = [slowestMs, medianMs].map((ms) => (ms / 1_000).toFixed(1))
  const detail = `The slowest answer took ${shown[0]} s, the median ${shown[1]} s. Do slow work after the COMMIT, from the stored event: an endpoint that takes 2 s gets few events at a time, and after 20 s a delivery fails.`
  return { result: medianMs >= SLOW_MS || slowestMs >= TOO_SLOW_MS ? 'failed' : 'passed', detail }
}

async function post(
  { sender, url, ending }: { sender: Sender; url: string; ending: AbortSignal },
  { headers, body }: CheckRequest,
): Promise<CheckedRequest> {
  const attempt = await sender.post(url, headers, body, ending)
  const { durationMs } = attempt
  if (attempt.status === undefined)
    return { status: null, error: attempt.error, outcome: null, answer: null, durationMs }
  const { status, outcome = null, answer } = attempt
  return { status, error: null, outcome, answer, durationMs }
}
