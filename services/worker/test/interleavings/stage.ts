import { pause } from '@cashflow/async'

/** What happens to the next action of an actor. */
export type Fate =
  | 'done'
  /** The actor's process dies before or after the action. */
  | 'dies_before'
  | 'dies_after'
  /** The action fails, or it happens and its answer is lost. The process lives on. */
  | 'lost_before'
  | 'lost_after'

/** A simulated process. Each of its actions, such as a statement, waits for its turn on the stage. */
export interface Actor {
  readonly name: string
  dead: boolean
  /** Close the connections of the process, as its death does. */
  readonly endings: (() => Promise<void>)[]
}

export class Died extends Error {
  override name = 'Died'
}

/** An error with the message of node-postgres, so that the product treats it as transient. */
const lostConnection = () => new Error('Connection terminated unexpectedly')

interface Turn {
  readonly actor: Actor
  readonly take: (fate: Fate) => Promise<void>
}

// Longer than any statement that does not wait for a lock.
const BLOCKED_AFTER_MS = 50

/** The place where actors act one at a time, in the order that a test chooses. */
export interface Stage {
  /** Waits for the actor's turn, then runs `work` or the fate of the turn. `ending` runs when the action is lost. */
  act<Result>(actor: Actor, work: () => Promise<Result>, ending?: () => Promise<void>): Promise<Result>
  /** Turns that actors wait for, in a stable order. */
  readonly turns: readonly Turn[]
  /** Actions that have begun and wait for a lock. */
  readonly blocked: number
  /** Lets an actor take its turn. Resolves when the action has ended, or waits for a lock. */
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
    const ended = turn.take(turn.actor.dead ? 'dies_before' : fate).finally(() => {
      blocked -= 1
    })
    await Promise.race([ended, pause(BLOCKED_AFTER_MS)])
    // Lets the actor compute up to its next turn.
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
