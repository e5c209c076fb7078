import type { CaseResult, CheckedRequest } from './report.ts'

export interface Judgement {
  readonly result: Exclude<CaseResult, 'not_tried'>
  readonly detail: string | null
}

type Judge = (requests: readonly CheckedRequest[]) => Judgement

const PASSED: Judgement = { result: 'passed', detail: null }
const SAYS_NOTHING =
  'The answer does not show it. Set its header Webhook-Outcome to handled, duplicate, outdated or ignored.'
const LIMITED = 'The receiver limits its requests, so its answer does not show it. Let the check through.'
const NO_DUPLICATE = 'A new event was taken for a duplicate. Tell events apart by their webhook-id.'
const NOT_OUTDATED = 'A new event was taken for an outdated one. Compare data.sequence for each data.id, not for all.'
const GONE = 'The receiver no longer answers. Did a request end its process?'
const OUTCOMES = ['handled', 'duplicate', 'outdated', 'ignored']
const TOO_MANY = 429
/** Of a proxy, or of a limiter, in place of the receiver. */
const OF_A_PROXY: ReadonlySet<number | null> = new Set([TOO_MANY, 502, 503, 504])

const failed = (detail: string): Judgement => ({ result: 'failed', detail })
const notShown = (detail: string): Judgement => ({ result: 'not_shown', detail })

export const isAccepted = ({ status }: CheckedRequest) => status !== null && status >= 200 && status < 300

/** True if nothing listens at the URL any more. */
export const isGone = ({ error }: CheckedRequest) => error === 'connection refused'

/** @param problem what is wrong with a receiver that does not accept it, in sentences */
export const judgeAccepted =
  (problem: string): Judge =>
  (requests) => {
    const wrong = requests.find((request) => !isAccepted(request))
    if (wrong?.status === TOO_MANY) return notShown(`${ended(wrong)} ${LIMITED}`)
    if (wrong) return failed(`${ended(wrong)} ${problem}`)
    if (requests.some(({ outcome }) => outcome === 'duplicate')) return failed(NO_DUPLICATE)
    return requests.some(({ outcome }) => outcome === 'outdated') ? failed(NOT_OUTDATED) : PASSED
  }

/** A first valid event: nothing is known of the receiver yet, so its answer says where to look. */
export const judgeValid: Judge = (requests) =>
  judgeAccepted(`A valid event was not accepted. ${hint(requests[0])}`)(requests)

function hint(request: CheckedRequest | undefined): string {
  const { status = null } = request ?? {}
  if (status === null) return 'Is the receiver running at this URL?'
  if (status >= 300 && status < 400) return 'Use the URL that it leads to.'
  if (status === 404 || status === 405) return 'Is the path right, and does it take POST?'
  if (status >= 500) return 'The log of the receiver has the error. The event has no reference and no amount.'
  const verification =
    'Does it verify with the secret of this endpoint, in base64 after whsec_? What is signed is webhook-id.webhook-timestamp.body. Is its clock right?'
  return status === 401 || status === 403 ? `${verification} Or does a login or a proxy come first?` : verification
}

/** @param problem what is wrong with a receiver that accepts it, in sentences */
export const judgeRefused =
  (problem: string): Judge =>
  (requests) => {
    const taken = requests.find(isAccepted)
    if (taken) return failed(`${ended(taken)} ${problem}`)
    if (requests.some(isGone)) return failed(`${ended(requests.find(isGone))} ${GONE}`)
    const handled = requests.find(({ outcome }) => outcome === 'handled')
    if (handled) return failed(`${ended(handled)} Yet its Webhook-Outcome is handled. ${problem}`)
    const limited = requests.find(({ status }) => OF_A_PROXY.has(status))
    if (limited) return notShown(`${ended(limited)} ${LIMITED}`)
    const odd = requests.find(({ status }) => status === null || status < 400 || status >= 500)
    return {
      result: 'passed',
      detail: odd ? `${ended(odd)} Answer 400 instead, so that it looks like no fault.` : null,
    }
  }

/** The same event twice, one after the other. */
export const judgeRepeated: Judge = (requests) => {
  const [first, second] = requests
  const begun = judgeAccepted('A valid event was not accepted.')(first ? [first] : [])
  if (begun.result !== 'passed' || !second) return begun
  if (!isAccepted(second))
    return judgeAccepted('A repeated event was not accepted. Answer 2xx, or it is sent again for 76 hours.')([second])
  switch (second.outcome) {
    case 'handled':
      return failed('An event that came twice was handled twice. Handle each webhook-id once.')
    case 'duplicate':
      return PASSED
    default:
      return notShown(notSeen(second))
  }
}

/** The same event twice at the same time. One of them may be refused: it would be sent again. */
export const judgeTogether: Judge = (requests) => {
  const taken = requests.filter(isAccepted)
  const isSilent = requests.some(({ status }) => status === null)
  if (taken.length === 0 || isSilent)
    return judgeAccepted('An event that came twice at the same time was not accepted.')(
      requests.filter((request) => !isAccepted(request)),
    )
  const handled = taken.filter(({ outcome }) => outcome === 'handled')
  if (handled.length > 1)
    return failed(
      'An event that came twice at the same time was handled twice. Let a unique key of the database decide, not a look before.',
    )
  const isShown = handled.length === 1 && taken.every(({ outcome }) => outcome === 'handled' || outcome === 'duplicate')
  return isShown ? PASSED : notShown(notSeen(taken.find(({ outcome }) => outcome !== 'handled') ?? taken[0]))
}

/** Two events of a subject, in their order. */
export const judgeInOrder: Judge = (requests) => {
  const begun = judgeAccepted('A valid event was not accepted. It is the next one of its data.id.')(requests)
  if (begun.result === 'failed' && requests.every(isAccepted))
    return failed(
      'An event that came after an earlier one of the same data.id was not handled. Compare data.sequence as a number, and tell events apart by webhook-id.',
    )
  if (begun.result !== 'passed') return begun
  const silent = requests.find(({ outcome }) => outcome !== 'handled')
  return silent ? notShown(notSeen(silent)) : PASSED
}

/** The second event of a subject, and then the first one. */
export const judgeOrder: Judge = (requests) => {
  const [later, earlier] = requests
  const begun = judgeAccepted(
    'An event whose predecessor had not arrived was not accepted. Accept it: the predecessor may have expired, and GET /events has it.',
  )(later ? [later] : [])
  if (begun.result !== 'passed' || !later || !earlier) return begun
  if (!isAccepted(earlier))
    return judgeAccepted('An event that came after a later one was not accepted. Answer 2xx, and change nothing.')([
      earlier,
    ])
  switch (earlier.outcome) {
    case 'handled':
      // A receiver may hold the later one until the earlier one has come.
      if (later.outcome !== 'handled') return notShown(notSeen(later))
      return failed(
        'An event that came after a later one was handled as the present state. Keep the highest data.sequence of each data.id.',
      )
    case 'duplicate':
      return failed('Two events of the same data.id were taken for one. Tell them apart by webhook-id.')
    case 'outdated':
      return PASSED
    default:
      return notShown(notSeen(earlier))
  }
}

function notSeen(request: CheckedRequest | undefined): string {
  const outcome = request?.outcome ?? null
  if (outcome === 'ignored')
    return 'The receiver ignores the type webhook.check before it looks at the event. Look at the type last.'
  return outcome === null || OUTCOMES.includes(outcome)
    ? SAYS_NOTHING
    : `Its Webhook-Outcome is ${outcome}. Use handled, duplicate, outdated or ignored.`
}

/** How a request ended, as a sentence. */
function ended(request: CheckedRequest | undefined): string {
  const { status = null, error } = request ?? {}
  if (status === null) return `No answer: ${error}.`
  if (status >= 300 && status < 400) return `Answer: ${status}, a redirect, which is not followed.`
  return `Answer: ${status}.`
}
