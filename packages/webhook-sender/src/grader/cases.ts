import { randomBytes } from 'node:crypto'
import {
  type CheckRequest,
  type CheckRequestOptions,
  type MakeRequest,
  newSubject,
  unknownType,
} from './check-request.ts'
import {
  type Judgement,
  judgeAccepted,
  judgeInOrder,
  judgeOrder,
  judgeRefused,
  judgeRepeated,
  judgeTogether,
  judgeValid,
} from './judge.ts'
import type { CheckedRequest, CheckName, Expected } from './report.ts'

export interface CaseContext {
  /** Makes requests with right signatures. */
  readonly signed: MakeRequest
  /** Makes requests that are signed with a secret that the receiver does not know. */
  readonly forged: MakeRequest
  /** Makes requests that are signed with an empty key, as anyone can. */
  readonly unkeyed: MakeRequest
  readonly now: () => Date
  readonly post: (request: CheckRequest) => Promise<CheckedRequest>
}

interface Case {
  readonly name: CheckName
  readonly expected: Expected
  /** Sends the requests of the case. Returns what became of them, in their order. */
  readonly send: (context: CaseContext) => Promise<readonly CheckedRequest[]>
  readonly judge: (requests: readonly CheckedRequest[]) => Judgement
}

/** Larger than the bodies that common servers accept by default, such as the 100 kB of Express. */
const LARGE = 300_000
/** Twice the tolerance of the libraries of Standard Webhooks. */
const STALE_S = 600

const VALID = 'A valid event was not accepted.'
const TAKEN = 'A receiver that accepts it takes anything for ours.'

/** A valid event, which deliveries are like. If it is not accepted, no other case says anything. */
export const FIRST_CASE: Case = {
  name: 'valid',
  expected: 'accepted',
  send: async ({ signed, post }) => [await post(signed({ check: 'valid' }))],
  judge: judgeValid,
}

/** In the order in which they are tried. */
export const CASES: readonly Case[] = [
  FIRST_CASE,
  accepted(
    'two_signatures',
    `${VALID} It has several signatures, as while a secret rotates. One that fits is enough, and unknown versions are skipped.`,
    {},
    (request) => withSignature(request, (right) => `v1a,${random(64)} v1,${random(32)} ${right}`),
  ),
  accepted(
    'raw_bytes',
    `${VALID} Its JSON has blanks, escapes and letters beyond ASCII. Verify the bytes as they arrived, not JSON that was parsed and written again.`,
    { write: rewritten },
  ),
  accepted('large_body', `${VALID} Its body has 300 kB. Raise the limit of the body.`, { padding: LARGE }),
  {
    name: 'unknown_type',
    expected: 'accepted',
    send: async ({ signed, post }) => [await post(signed({ check: 'unknown_type', type: unknownType() }))],
    judge: judgeAccepted('An event of an unknown type was not accepted. Answer 2xx: later versions add types.'),
  },
  {
    name: 'duplicate',
    expected: 'accepted',
    send: async ({ post, ...context }) => await inTurn(twice('duplicate', context), post),
    judge: judgeRepeated,
  },
  {
    name: 'simultaneous_duplicates',
    expected: 'accepted',
    async send({ post, ...context }) {
      const name = 'simultaneous_duplicates'
      // Otherwise the second one would come later, by the time that its connection takes.
      await Promise.all([1, 2].map(() => post(context.signed({ check: name }))))
      return await Promise.all(twice(name, context).map(post))
    },
    judge: judgeTogether,
  },
  {
    name: 'in_order',
    expected: 'accepted',
    async send({ signed, post }) {
      const subject = newSubject()
      // As text, 10 comes before 9.
      return await inTurn(
        [9, 10].map((sequence) => signed({ check: 'in_order', subject, sequence })),
        post,
      )
    },
    judge: judgeInOrder,
  },
  {
    name: 'out_of_order',
    expected: 'accepted',
    async send({ signed, post, now }) {
      const subject = newSubject()
      // By clocks that differ, the later event is the older one.
      const eventAt = (sequence: number) => new Date(now().getTime() - sequence * 1_000)
      const of = (sequence: number) => signed({ check: 'out_of_order', subject, sequence, eventAt: eventAt(sequence) })
      return await inTurn([of(2), of(1)], post)
    },
    judge: judgeOrder,
  },
  {
    name: 'forged_signature',
    expected: 'refused',
    send: async ({ forged, post }) => [await post(forged({ check: 'forged_signature' }))],
    judge: judgeRefused(`An event that is signed with another secret was accepted. ${TAKEN}`),
  },
  {
    name: 'empty_secret',
    expected: 'refused',
    send: async ({ unkeyed, post }) => [await post(unkeyed({ check: 'empty_secret' }))],
    judge: judgeRefused(
      'An event that is signed with an empty secret was accepted. Start no receiver whose secret is missing, or ends with a comma.',
    ),
  },
  refused('missing_signature', `An event without a signature was accepted. ${TAKEN}`, ({ headers, body }) => {
    const { 'webhook-signature': _signature, ...unsigned } = headers
    return { headers: unsigned, body }
  }),
  signedAs(
    'empty_signature',
    `An event with an empty signature was accepted. ${TAKEN} Compare signatures of the same length only.`,
    () => 'v1,',
  ),
  signedAs(
    'unknown_version',
    'An event was accepted whose signature is of an unknown version. Skip what does not begin with v1, and refuse what has no other one.',
    (signature) => signature.replace('v1,', 'v2,'),
  ),
  refused(
    'changed_body',
    'An event was accepted whose body was changed after it was signed. The signature has to cover the body.',
    ({ headers, body }) => ({ headers, body: body.replace('"sequence":1', '"sequence":7') }),
  ),
  refused(
    'changed_id',
    'An event was accepted whose webhook-id was changed after it was signed. It would pass as a new event.',
    ({ headers, body }) => ({ headers: { ...headers, 'webhook-id': `evt_${newSubject()}_1` }, body }),
  ),
  refused(
    'changed_timestamp',
    'An event was accepted whose webhook-timestamp was changed after it was signed. Old events would pass as new ones.',
    ({ headers, body }) => {
      const timestamp = String(Number(headers['webhook-timestamp']) + STALE_S)
      return { headers: { ...headers, 'webhook-timestamp': timestamp }, body }
    },
    { offsetS: -STALE_S },
  ),
  refused(
    'stale_timestamp',
    'An event was accepted that was signed 10 minutes ago. Recorded requests could be sent again. Refuse more than 5 minutes.',
    (request) => request,
    { offsetS: -STALE_S },
  ),
  refused(
    'future_timestamp',
    'An event was accepted that was signed 10 minutes in the future. Refuse more than 5 minutes.',
    (request) => request,
    { offsetS: STALE_S },
  ),
  accepted(
    'valid_again',
    `${VALID} It came after forged ones. Deliveries must not be blocked because of a forgery.`,
    {},
  ),
]

function accepted(
  name: CheckName,
  problem: string,
  options: Omit<CheckRequestOptions, 'check'>,
  change: (request: CheckRequest) => CheckRequest = (request) => request,
): Case {
  return {
    name,
    expected: 'accepted',
    send: async ({ signed, post }) => [await post(change(signed({ ...options, check: name })))],
    judge: judgeAccepted(problem),
  }
}

function refused(
  name: CheckName,
  problem: string,
  change: (request: CheckRequest) => CheckRequest,
  options: Omit<CheckRequestOptions, 'check'> = {},
): Case {
  return {
    name,
    expected: 'refused',
    send: async ({ signed, post }) => [await post(change(signed({ ...options, check: name })))],
    judge: judgeRefused(problem),
  }
}

function signedAs(name: CheckName, problem: string, change: (signature: string) => string): Case {
  return refused(name, problem, (request) => withSignature(request, change))
}

/** The same event twice, signed at different times, as the attempts of a delivery. */
function twice(check: CheckName, { signed, now }: Pick<CaseContext, 'signed' | 'now'>): CheckRequest[] {
  const event = { check, subject: newSubject(), eventAt: now() }
  return [-1, 0].map((offsetS) => signed({ ...event, offsetS }))
}

async function inTurn(
  requests: readonly CheckRequest[],
  post: CaseContext['post'],
): Promise<readonly CheckedRequest[]> {
  const ended: CheckedRequest[] = []
  for (const request of requests) ended.push(await post(request))
  return ended
}

const random = (bytes: number) => randomBytes(bytes).toString('base64')

function withSignature({ headers, body }: CheckRequest, change: (signature: string) => string): CheckRequest {
  return { headers: { ...headers, 'webhook-signature': change(headers['webhook-signature'] ?? '') }, body }
}

/** The same event in other characters: no writer of JSON makes them from the parsed value. */
function rewritten(body: string): string {
  return body
    .replace('{"type":', '{ "type" : ')
    .replace('"api_version":"v1"', '"note":"caf\\u00e9 \\/ \\ud83d\\ude00 é", "number":1.00, "api_version":"v1" ')
    .concat('\n')
}
