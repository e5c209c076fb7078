import pg from 'pg'
import { cancelStatement } from './cancel-statement.ts'
import { CommitInDoubtError } from './errors.ts'

/**
 * A session of the pool. It is closed after an answer that did not come, here and on the server, and knows what has
 * committed and may not survive: by COMMIT, or as a statement outside a transaction.
 */
export class Session extends pg.Client {
  #warned = false

  constructor(config?: string | pg.ClientConfig) {
    super(config)
    this.on('notice', ({ code }) => {
      this.#warned ||= code === '01000'
    })
  }

  // biome-ignore lint/suspicious/noExplicitAny: pg's own has eight signatures; what they promise stays as it is.
  override query(...parameters: any[]): any {
    this.#warned = false
    const answer = Reflect.apply(super.query, this, parameters)
    if (!(answer instanceof Promise)) return answer
    return answer.then(
      (result) => {
        // Nothing is committed within a transaction, so there it is another warning.
        if (this.#warned && this.getTransactionStatus() === 'I') throw new CommitInDoubtError()
        return result
      },
      (error: Error) => {
        // It is still busy with that query, and the next one's answer would come after this one's, or never.
        if (error.message === 'Query read timeout') {
          cancelStatement(this)
          void this.end()
        }
        throw error
      },
    )
  }
}
