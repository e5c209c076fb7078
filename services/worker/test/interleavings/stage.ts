import { setTimeout as sleep } from 'node:timers/promises'

/** What becomes of the next thing that an actor does. */
export type Fate =
  | 'done'
  /** Its process dies before, or after, it has happened. */
  | 'dies before'
  | 'dies after'
  /** It fails before it happens, or it happens and the answer is lost. Its process lives on. */
  | 'lost before'
  | 'lost after'

/** A process that is simulated: whatever it does beside computing waits for its turn on the stage. */
export interface Actor {
  readonly name: string
  dead: boolean
  /** Ends what a process has open, as its death does. */
  readonly endings: (() => Promise<void>)[]
}

export class Died extends Error {
  override name = 'Died'
}

/** The words that node-postgres uses, which make it an error to try again. */
export const lostConnection = () => new Error('Connection terminated unexpectedly')

interface Turn {
  readonly actor: Actor
  readonly take: (fate: Fate) => Promise<void>
}

// Long enough for any statement that does not wait for a lock.
const BLOCKED_AFTER_MS = 50

/** Where actors take turns, one thing at a time, in the order that a test chooses. */
export interface Stage {
  /** Waits for the actor's turn and then does it, or suffers its fate. */
  act<Result>(actor: Actor, work: () => Promise<Result>, ending?: () => Promise<void>): Promise<Result>
  /** Turns that are waited for, in a stable order. */
  readonly turns: readonly Turn[]
  /** Things begun and not ended: they wait for a lock. */
  readonly blocked: number
  /** Gives a turn, and waits for its end unless that waits for a lock. */
  give(turn: Turn, fate: Fate): Promise<void>
}

export function createStage(): Stage {
  const turns: Turn[] = []
  let blocked = 0

  function act<Result>(actor: Actor, work: () => Promise<Result>, ending = async () => {}): Promise<Result> {
    if (actor.dead) return Promise.reject(new Died(actor.name))
    const { promise, resolve, reject } = Promise.withResolvers<Result>()
    const take = async (fate: Fate) => {
      if (fate.startsWith('dies')) actor.dead = true
      try {
        if (fate.endsWith('before')) throw lostConnection()
        const result = await work()
        if (fate.endsWith('after')) throw lostConnection()
        resolve(result)
      } catch (error) {
        if (actor.dead) await Promise.all(actor.endings.map((end) => end()))
        else if (fate !== 'done') await ending()
        reject(actor.dead ? new Died(actor.name) : error)
      }
    }
    turns.push({ actor, take })
    return promise
  }

  async function give(turn: Turn, fate: Fate): Promise<void> {
    turns.splice(turns.indexOf(turn), 1)
    blocked += 1
    const ended = turn.take(turn.actor.dead ? 'dies before' : fate).finally(() => {
      blocked -= 1
    })
    await Promise.race([ended, sleep(BLOCKED_AFTER_MS)])
    // What the actor does next without waiting, up to its next turn.
    for (let tick = 0; tick < 3; tick += 1) await new Promise((resolve) => setImmediate(resolve))
  }

  return {
    act,
    turns,
    get blocked() {
      return blocked
    },
    give,
  }
}
