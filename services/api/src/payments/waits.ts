import { DeadlineError, type Loops, pause } from '@cashflow/async'
import type { PaymentName, PaymentView } from '@cashflow/db'
import { backgroundComponent, type Component, createCondition, type Logger } from '@cashflow/runtime'
import type { Response } from 'express'
import { ClientGoneError } from '../request-queue.ts'
import { createWaitLookups, withoutCulprits } from './wait-lookups.ts'

const LOOK_EVERY_MS = 1_000
/** Time for a look-up with its retries. */
const LOOK_UP_MS = 5_000

export interface WaitsOptions {
  /** Finds payments in one statement, in their order. */
  find(names: readonly PaymentName[]): Promise<readonly (PaymentView | undefined)[]>
  /** Returns the names of those payments that are settled. */
  findSettled<Name extends PaymentName>(names: readonly Name[]): Promise<readonly Name[]>
  /** Number of requests that may wait. */
  waitsMax: number
  /** Number of requests whose payment may still have to be looked up for the first time. */
  unseenMax: number
  logger: Logger
}

export interface Waited {
  /** Undefined if the merchant has no payment with this id. */
  readonly payment: PaymentView | undefined
  /** False if the payment is PENDING, and the request has not waited as long as it prefers to. */
  readonly isHonoured: boolean
}

export interface WaitOptions {
  seconds: number
  /** True for a payment that was just stored, so that no look-up has to find out whether it exists and is PENDING. */
  isNew?: boolean
}

export interface Waits extends Component {
  /** Number of requests that wait. */
  readonly waiting: number
  /** Called with the payload of a notification: ids of settled payments, separated by commas. */
  onNotify(ids: string): void
  /**
   * Waits until a payment is settled, or for `seconds`. Above `waitsMax`, the request that has waited longest is answered at
   * once. So are all when the process stops. A waiting request holds no place in a queue, and no session with PostgreSQL.
   *
   * @returns undefined immediately when `unseenMax` requests wait for the first look-up of their payment
   * @throws DeadlineError if PostgreSQL answers no look-up for 5 s, at the beginning or at the end of the wait
   * @throws ClientGoneError as soon as the client has gone
   */
  until(res: Response, name: PaymentName, options: WaitOptions): Promise<Waited | undefined>
}

interface Wait extends PaymentName {
  /** True once the payment was seen as PENDING. */
  isKnown: boolean
  /** True once the request gets its answer with any status. */
  isDue: boolean
  /** True if that is before its time. */
  isCut: boolean
  isEnded: boolean
  /** By the clock of `performance`. */
  readonly endsAt: number
  timer?: NodeJS.Timeout
  readonly settle: { resolve(waited: Waited | undefined): void; reject(error: unknown): void }
}

/**
 * Requests that wait for payments. Notifications from workers say at once which payments to look up. They are hints: all
 * payments are also looked at once a second.
 */
export function createWaits({ find, findSettled, waitsMax, unseenMax, logger }: WaitsOptions): Waits {
  /** Those that are not due, the one that has waited longest first. */
  const open = new Set<Wait>()
  const ofPayment = createIndex(unseenMax, logger)
  const stopping = new AbortController()
  const failing = createCondition(logger, {
    message: 'payments that requests wait for could not be looked up, trying again',
    ended: 'payments that requests wait for are looked up again',
  })
  const lookups = createWaitLookups<Wait>({ find, onFound, onFailed: fail, failing })

  function onFound(wait: Wait, payment: PaymentView | undefined): void {
    const isPending = payment?.status === 'PENDING'
    if (!isPending || wait.isDue) wait.settle.resolve({ payment, isHonoured: !(isPending && wait.isCut) })
    else if (!wait.isKnown && !wait.isEnded) {
      wait.isKnown = true
      ofPayment.markSeen(wait)
      setTimer(wait, wait.endsAt - performance.now(), () => makeDue(wait))
    }
  }

  function fail(wait: Wait, error: unknown): void {
    wait.settle.reject(error)
  }

  function makeDue(wait: Wait): void {
    open.delete(wait)
    wait.isDue = true
    lookUp(wait)
  }

  function cut(wait: Wait): void {
    wait.isCut = true
    makeDue(wait)
  }

  function lookUp(wait: Wait): void {
    setTimer(wait, LOOK_UP_MS, () => fail(wait, new DeadlineError(`looking up payment ${wait.id} took too long`)))
    lookups.ask(wait)
  }

  function begin(wait: Wait): void {
    if (!ofPayment.add(wait)) return void wait.settle.resolve(undefined)
    open.add(wait)
    if (stopping.signal.aborted) cut(wait)
    else if (wait.isDue) makeDue(wait)
    else if (wait.isKnown) setTimer(wait, wait.endsAt - performance.now(), () => makeDue(wait))
    else lookUp(wait)
    const [oldest] = open
    if (oldest && open.size > waitsMax) cut(oldest)
  }

  function end(wait: Wait): void {
    wait.isEnded = true
    clearTimeout(wait.timer)
    open.delete(wait)
    ofPayment.delete(wait)
    lookups.forget(wait)
  }

  async function run(loops: Loops): Promise<void> {
    const loop = loops.begin('waits')
    const look = async (waits: readonly Wait[]) => {
      loop.beat()
      for (const wait of await findSettled(waits)) lookups.ask(wait)
    }
    while (!stopping.signal.aborted) {
      loop.beat()
      if (open.size > 0) await withoutCulprits([...open], look, fail).catch((error) => failing.holds({ error }))
      await pause(LOOK_EVERY_MS, stopping.signal)
    }
  }

  return {
    ...backgroundComponent('waits', run, stopping, { isAwaited: false }),
    get waiting() {
      return open.size
    },
    async stop() {
      stopping.abort()
      for (const wait of open) cut(wait)
    },
    onNotify(ids) {
      for (const id of ids.split(',')) for (const wait of ofPayment.find(id)) lookups.ask(wait)
    },
    until: (res, name, options) => whileConnected(res, waitOf(name, options), begin, end),
  }
}

type NewWait = Omit<Wait, 'settle'>

function waitOf({ merchantId, id }: PaymentName, { seconds, isNew = false }: WaitOptions): NewWait {
  const endsAt = performance.now() + seconds * 1_000
  const isKnown = isNew
  return { merchantId, id: id.toLowerCase(), isKnown, isDue: seconds === 0, isCut: false, isEnded: false, endsAt }
}

function setTimer(wait: Wait, ms: number, call: () => void): void {
  clearTimeout(wait.timer)
  wait.timer = setTimeout(call, Math.max(0, ms))
}

/**
 * Waits of payments by the payments' ids. A request with `wait=0`, or for a settled payment, ends when its payment is first
 * seen. So this limits how many of those there are.
 *
 * @param unseenMax number of waits whose payment was not seen yet
 */
function createIndex(unseenMax: number, logger: Logger) {
  const waits = new Map<string, Set<Wait>>()
  const unseen = new Set<Wait>()
  const refusing = createCondition(logger, {
    message: 'overloaded, not letting requests wait for a payment',
    ended: 'no longer overloaded, letting requests wait for a payment',
  })
  return {
    find: (id: string): Iterable<Wait> => waits.get(id) ?? [],
    /** @returns false, and adds nothing, if too many payments still have to be seen */
    add(wait: Wait): boolean {
      if (!wait.isKnown) {
        if (unseen.size >= unseenMax) {
          refusing.holds()
          return false
        }
        refusing.ended()
        unseen.add(wait)
      }
      const others = waits.get(wait.id)
      if (others) others.add(wait)
      else waits.set(wait.id, new Set([wait]))
      return true
    },
    markSeen: (wait: Wait): void => void unseen.delete(wait),
    delete(wait: Wait): void {
      unseen.delete(wait)
      const others = waits.get(wait.id)
      others?.delete(wait)
      if (others?.size === 0) waits.delete(wait.id)
    },
  }
}

/** Waits as long as the client is there. Its connection may be silent for so long. */
async function whileConnected(
  res: Response,
  given: NewWait,
  begin: (wait: Wait) => void,
  end: (wait: Wait) => void,
): Promise<Waited | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Waited | undefined>()
  const wait: Wait = Object.assign(given, { settle: { resolve, reject } })
  const leave = () => reject(new ClientGoneError())
  // With a listener, Node leaves a connection open on which no byte has moved for `server.timeout`.
  const stay = () => {}
  res.once('close', leave)
  res.on('timeout', stay)
  try {
    if (res.closed || res.req.socket.destroyed) leave()
    else begin(wait)
    return await promise
  } finally {
    end(wait)
    res.off('close', leave)
    res.off('timeout', stay)
  }
}
