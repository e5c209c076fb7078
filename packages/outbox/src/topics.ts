import { retryDelayMs } from './decide.ts'
import type { OutboxMessage } from './message.ts'
import type { PublishOutcome } from './publisher.ts'

/** How many messages of refused topics a pass reads of each lane. */
const PER_LANE_MAX = 16
/** How long a confirmed message says that the broker as a whole is neither full nor failing. */
const CONFIRMED_MS = 5_000
const WAIT_FIRST_MS = 1_000
const WAIT_MAX_MS = 60_000
/** A topic of which nothing was heard for this long is forgotten: its messages may be gone. */
const FORGET_MS = 2 * WAIT_MAX_MS

/** What a pass reads sparingly, so that it gets past it. */
export interface Sparing {
  readonly topics: readonly string[]
  /** How many of their messages it reads of each lane, all of these topics together. */
  readonly perLaneMax: number
}

/** A topic that was refused from now on, or is accepted again. */
export type TopicChange =
  | { readonly topic: string; readonly change: 'refused'; readonly messages: number }
  | { readonly topic: string; readonly change: 'accepted'; readonly refusedMs: number }

/** What a pass concludes from the broker's answers. */
export interface Verdict {
  readonly changes: readonly TopicChange[]
  /**
   * How long the topic's nacked messages are moved out of the way, in milliseconds. Undefined where they stay: no other
   * topic's messages would get past them either.
   */
  moveMs(topic: string): number | undefined
}

/** The oldest of a topic's messages that were moved out of the way. */
export interface Oldest {
  readonly topic: string
  readonly due: boolean
}

/**
 * What one relay knows of the topics that the broker refuses. Its passes and promotions share it. It is a hint: a relay
 * that has forgotten it learns it again from the next pass.
 */
export interface Topics {
  sparing(): Sparing
  /** To be called once for the answers to all messages of a pass, each outcome at its message's index. */
  judge(messages: readonly OutboxMessage[], outcomes: readonly PublishOutcome[]): Verdict
  /** Which topics' moved messages are to be tried now; each of them counts as tried. */
  toTry(oldest: readonly Oldest[]): string[]
  /** Whether a topic whose messages were moved has been accepted since they were last looked at. */
  readonly reopened: boolean
}

interface TopicState {
  heardAt: number
  confirmedAt: number
  /** Some of its messages were nacked in the last pass that had any. */
  sparse: boolean
  /** Since when all of them are. */
  refusedAt: number | undefined
  /** Nothing was nacked in the last pass that had any of its messages, and none was promoted since. */
  open: boolean
  waitMs: number
  /** When its moved messages are tried again; a refusal before that says nothing new. */
  tryAt: number
}

export function createTopics({
  now = () => performance.now(),
  random = Math.random,
  perLaneMax = PER_LANE_MAX,
} = {}): Topics {
  const states = new Map<string, TopicState>()
  /** Topics whose moved messages wait, as far as known. */
  let moved = new Set<string>()
  // While all topics are refused nothing of them is read at all until then.
  let holdUntil = 0
  let holds = 0

  function stateOf(topic: string): TopicState {
    const known = states.get(topic)
    if (known) return known
    const never = Number.NEGATIVE_INFINITY
    const state = { heardAt: now(), confirmedAt: never, sparse: false, open: false, waitMs: 0, tryAt: never }
    const created: TopicState = { ...state, refusedAt: undefined }
    states.set(topic, created)
    return created
  }

  function forgetOld(at: number): void {
    for (const [topic, { heardAt }] of states) if (at - heardAt > FORGET_MS) states.delete(topic)
  }

  /** Whether the broker has taken messages of other topics lately. */
  function othersPass(topic: string, at: number): boolean {
    for (const [other, { confirmedAt, refusedAt }] of states)
      if (other !== topic && refusedAt === undefined && at - confirmedAt <= CONFIRMED_MS) return true
    return false
  }

  return {
    sparing() {
      const at = now()
      forgetOld(at)
      const topics = [...states].filter(([, { sparse }]) => sparse).map(([topic]) => topic)
      return { topics, perLaneMax: at < holdUntil ? 0 : perLaneMax }
    },
    judge(messages, outcomes) {
      const at = now()
      const heard = count(messages, outcomes)
      const changes: TopicChange[] = []
      for (const [topic, counts] of heard) {
        const change = hear(stateOf(topic), counts, at)
        if (change) changes.push({ topic, ...change })
      }
      const nacked = [...heard].filter(([, counts]) => counts.nacked > 0)
      const moveMs = new Map(
        nacked.map(([topic]) => [topic, othersPass(topic, at) ? stateOf(topic).waitMs : undefined]),
      )
      if (nacked.some(([topic]) => moveMs.get(topic) === undefined)) {
        holds = [...heard].some(([, { confirmed }]) => confirmed > 0) ? 0 : holds + 1
        holdUntil = at + backoffMs(holds, random)
      } else if (heard.size > 0) {
        holds = 0
        holdUntil = 0
      }
      return { changes, moveMs: (topic) => moveMs.get(topic) }
    },
    toTry(oldest) {
      const at = now()
      moved = new Set(oldest.map(({ topic }) => topic))
      return oldest.flatMap(({ topic, due }) => (startTry(stateOf(topic), due, at) ? [topic] : []))
    },
    get reopened() {
      for (const topic of moved) if (states.get(topic)?.open) return true
      return false
    },
  }
}

/** Between 50 ms and 5 s, so that relays do not come back all at once and none spins. */
export function backoffMs(failures: number, random = Math.random): number {
  return 50 + Math.min(4_950, retryDelayMs(failures, random))
}

interface Counts {
  messages: number
  confirmed: number
  nacked: number
}

/** Of topics about which the broker said whether it takes them. */
function count(messages: readonly OutboxMessage[], outcomes: readonly PublishOutcome[]): Map<string, Counts> {
  const byTopic = new Map<string, Counts>()
  for (const [index, { topic }] of messages.entries()) {
    let counts = byTopic.get(topic)
    if (!counts) {
      counts = { messages: 0, confirmed: 0, nacked: 0 }
      byTopic.set(topic, counts)
    }
    const status = outcomes[index]?.status
    counts.messages += 1
    if (status === 'confirmed') counts.confirmed += 1
    else if (status === 'nacked') counts.nacked += 1
  }
  for (const [topic, { confirmed, nacked }] of byTopic) if (confirmed + nacked === 0) byTopic.delete(topic)
  return byTopic
}

type Change = { change: 'refused'; messages: number } | { change: 'accepted'; refusedMs: number }

function hear(state: TopicState, { messages, confirmed, nacked }: Counts, at: number): Change | undefined {
  state.heardAt = at
  state.sparse = nacked > 0
  state.open = nacked === 0
  if (confirmed > 0) {
    const { refusedAt } = state
    state.confirmedAt = at
    state.refusedAt = undefined
    state.waitMs = nacked > 0 ? WAIT_FIRST_MS : 0
    state.tryAt = Math.min(state.tryAt, at + state.waitMs)
    return refusedAt === undefined ? undefined : { change: 'accepted', refusedMs: Math.round(at - refusedAt) }
  }
  if (nacked < messages) {
    state.waitMs = Math.max(WAIT_FIRST_MS, state.waitMs)
    return undefined
  }
  if (at >= state.tryAt || state.waitMs === 0) waitLonger(state, at)
  if (state.refusedAt !== undefined) return undefined
  state.refusedAt = at
  return { change: 'refused', messages: nacked }
}

/** @param due whether the oldest of its moved messages is */
function startTry(state: TopicState, due: boolean, at: number): boolean {
  if (state.open) {
    // Clocked by confirms: the next batch follows the next pass in which nothing of the topic was nacked.
    state.open = false
    state.tryAt = at + WAIT_FIRST_MS
    return true
  }
  if (!due || at < state.tryAt) return false
  state.heardAt = at
  waitLonger(state, at)
  return true
}

function waitLonger(state: TopicState, at: number): void {
  state.waitMs = Math.min(WAIT_MAX_MS, Math.max(WAIT_FIRST_MS, 2 * state.waitMs))
  state.tryAt = at + state.waitMs
}
