import { defined, fullJitterMs } from '@cashflow/async'
import type { OutboxMessage } from './message.ts'
import type { PublishOutcome } from './publisher.ts'

/** Messages of limited topics that a pass reads of each lane. */
const PER_LANE_MAX = 16
/** Time that a confirmed message shows that the broker as a whole is neither full nor failing. */
const CONFIRMED_MS = 5_000
const WAIT_FIRST_MS = 1_000
const WAIT_MAX_MS = 60_000
/** A topic without answers for this long is forgotten: its messages may be gone. */
const FORGET_MS = 2 * WAIT_MAX_MS

/** Number of messages that a pass reads of topics that the broker refuses, so that it reads past them. */
export interface TopicQuota {
  /** The limited topics. In the last pass that published messages of such a topic, the broker nacked some of them. */
  readonly topics: readonly string[]
  /** Messages of all these topics together that a pass reads of each lane. */
  readonly perLaneMax: number
}

/** A topic that the broker began to refuse, or accepts again. */
export type TopicChange = { readonly topic: string } & Change

type Change =
  | { readonly change: 'refused'; readonly messages: number }
  | { readonly change: 'accepted'; readonly refusedMs: number }

export type Topics = ReturnType<typeof createTopics>

interface TopicState {
  answeredAt: number
  confirmedAt: number
  /** True if some of its messages were nacked in the last pass that had any. */
  isLimited: boolean
  /** When a pass had all of its messages nacked, and none was confirmed since. */
  refusedAt: number | undefined
  /** True if nothing was nacked in the last pass that had any of its messages, and none was promoted since. */
  isOpen: boolean
  waitMs: number
  /** When its refused messages are tried again. A nack before that makes no wait longer. */
  tryAt: number
}

/**
 * Keeps the knowledge of one relay about topics that the broker refuses. Its passes and its promotion share it. It is a
 * hint: a relay that has forgotten it learns it again from the next pass.
 */
export function createTopics({ now = () => performance.now(), random = Math.random, perLaneMax = PER_LANE_MAX } = {}) {
  const states = new Map<string, TopicState>()
  /** Topics with refused messages that have left their lanes, as far as known. */
  let refusedTopics = new Set<string>()
  // Until then passes read no message of limited topics, because all topics are refused.
  let backOffUntil = 0
  let backOffs = 0

  function stateOf(topic: string): TopicState {
    const known = states.get(topic)
    if (known) return known
    const created = newState(now())
    states.set(topic, created)
    return created
  }

  function forgetOld(at: number): void {
    for (const [topic, { answeredAt }] of states) if (at - answeredAt > FORGET_MS) states.delete(topic)
  }

  /** True if the broker has confirmed messages of other topics lately. */
  function acceptsOthers(topic: string, at: number): boolean {
    for (const [other, { confirmedAt, refusedAt }] of states)
      if (other !== topic && refusedAt === undefined && at - confirmedAt <= CONFIRMED_MS) return true
    return false
  }

  return {
    quota(): TopicQuota {
      const at = now()
      forgetOld(at)
      const topics = [...states].filter(([, { isLimited }]) => isLimited).map(([topic]) => topic)
      return { topics, perLaneMax: at < backOffUntil ? 0 : perLaneMax }
    },
    /**
     * Records the answers to all messages of a pass, each outcome at its message's index. Called once for each pass.
     *
     * @returns `moveMs`, the time that a topic's nacked messages leave their lane, in milliseconds. Undefined if they stay in
     * it: the broker would not accept other topics either
     */
    judge(messages: readonly OutboxMessage[], outcomes: readonly PublishOutcome[]) {
      const at = now()
      const answers = countAnswers(messages, outcomes)
      const changes: TopicChange[] = []
      for (const [topic, counts] of answers) {
        const change = recordAnswers(stateOf(topic), counts, at)
        if (change) changes.push({ topic, ...change })
      }
      const nacked = [...answers].filter(([, counts]) => counts.nacked > 0)
      const moveMs = new Map(
        nacked.map(([topic]) => [topic, acceptsOthers(topic, at) ? stateOf(topic).waitMs : undefined]),
      )
      if (nacked.some(([topic]) => moveMs.get(topic) === undefined)) {
        backOffs = [...answers].some(([, { confirmed }]) => confirmed > 0) ? 0 : backOffs + 1
        backOffUntil = at + relayBackoffMs(backOffs, random)
      } else if (answers.size > 0) {
        backOffs = 0
        backOffUntil = 0
      }
      return { changes, moveMs: (topic: string) => moveMs.get(topic) }
    },
    /**
     * Returns the topics whose refused messages are tried now. Each of them counts as tried.
     *
     * @param oldest the oldest refused message of each topic
     */
    dueForTry(oldest: readonly { topic: string; due: boolean }[]): string[] {
      const at = now()
      refusedTopics = new Set(oldest.map(({ topic }) => topic))
      return oldest.flatMap(({ topic, due }) => (startTry(stateOf(topic), due, at) ? [topic] : []))
    },
    /** True if the broker has accepted a topic with refused messages since they were last looked at. */
    get reopened(): boolean {
      for (const topic of refusedTopics) if (states.get(topic)?.isOpen) return true
      return false
    },
  }
}

function newState(answeredAt: number): TopicState {
  const never = Number.NEGATIVE_INFINITY
  const times = { answeredAt, confirmedAt: never, refusedAt: undefined, tryAt: never }
  return { ...times, isLimited: false, isOpen: false, waitMs: 0 }
}

/**
 * Pause of a relay after `failures` failures in a row, in milliseconds: between 50 ms, so that no loop spins, and 5 s.
 * The jitter keeps relays from coming back at the same moment.
 */
export function relayBackoffMs(failures: number, random = Math.random): number {
  return 50 + Math.min(4_950, fullJitterMs(failures, { baseMs: 1_000, capMs: 300_000, random }))
}

interface Counts {
  messages: number
  confirmed: number
  nacked: number
}

/** Counts the outcomes of each topic. Topics without a confirm or a nack are left out: the broker did not decide. */
function countAnswers(messages: readonly OutboxMessage[], outcomes: readonly PublishOutcome[]): Map<string, Counts> {
  const byTopic = new Map<string, Counts>()
  for (const [index, { topic }] of messages.entries()) {
    const counts = byTopic.get(topic) ?? { messages: 0, confirmed: 0, nacked: 0 }
    byTopic.set(topic, counts)
    const { status } = defined(outcomes[index], 'outcome of a message')
    counts.messages += 1
    if (status === 'confirmed') counts.confirmed += 1
    else if (status === 'nacked') counts.nacked += 1
  }
  for (const [topic, { confirmed, nacked }] of byTopic) if (confirmed + nacked === 0) byTopic.delete(topic)
  return byTopic
}

function recordAnswers(state: TopicState, { messages, confirmed, nacked }: Counts, at: number): Change | undefined {
  state.answeredAt = at
  state.isLimited = nacked > 0
  state.isOpen = nacked === 0
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

/**
 * Starts a try of a topic's refused messages if it is time for one.
 *
 * @param due true if the oldest of them is due
 */
function startTry(state: TopicState, due: boolean, at: number): boolean {
  if (state.isOpen) {
    // Confirms set the pace: the next batch follows the next pass in which no message of the topic was nacked.
    state.isOpen = false
    state.tryAt = at + WAIT_FIRST_MS
    return true
  }
  if (!due || at < state.tryAt) return false
  state.answeredAt = at
  waitLonger(state, at)
  return true
}

function waitLonger(state: TopicState, at: number): void {
  state.waitMs = Math.min(WAIT_MAX_MS, Math.max(WAIT_FIRST_MS, 2 * state.waitMs))
  state.tryAt = at + state.waitMs
}
