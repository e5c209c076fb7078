import pg from 'pg'
import { CommitInDoubtError } from './errors.ts'

/** A session of the pool: it is closed after an answer that did not come, and knows a COMMIT that may not survive. */
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
    const isCommit = parameters[0] === 'commit'
    return answer.then(
      (result) => {
        if (isCommit && this.#warned) throw new CommitInDoubtError()
        return result
      },
      (error: Error) => {
        // It is still busy with that query, and the next one's answer would come after this one's, or never.
        if (error.message === 'Query read timeout') void this.end()
        throw error
      },
    )
  }
}
