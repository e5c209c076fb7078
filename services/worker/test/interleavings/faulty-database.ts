import type { Tables } from '@cashflow/db'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import type { Actor, Stage } from './stage.ts'

/**
 * Creates a pool of real sessions for one actor. Each statement is a turn on the stage, also BEGIN and COMMIT. A statement
 * that is lost, before or after PostgreSQL has executed it, ends its session and the session's locks.
 */
export function createFaultyDatabase(url: string, actor: Actor, stage: Stage): Kysely<Tables> {
  class FaultyClient extends pg.Client {
    #ended = false

    // Kysely calls only this signature. pg declares eight.
    // biome-ignore lint/suspicious/noExplicitAny: an override has to fit all eight
    override query(text: any, values?: any): any {
      const run = (): Promise<pg.QueryResult> => super.query(text, values)
      if (this.#ended) return run()
      return stage.act(actor, run, async () => {
        this.#ended = true
        await this.end()
      })
    }
  }
  const pool = new pg.Pool({
    connectionString: url,
    max: 4,
    Client: FaultyClient,
    lock_timeout: 2_000,
    application_name: actor.name,
  })
  pool.on('error', () => {})
  pool.on('connect', (client) => {
    client.on('error', () => {})
    actor.endings.push(() => client.end())
  })
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
}
