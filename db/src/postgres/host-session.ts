import { ReadOnlyError } from './errors.ts'
import { asUnconnected, Session } from './session.ts'
import type { SessionConfig } from './session-config.ts'
import type { Timelines } from './timelines.ts'

export interface HostSessionConfig extends SessionConfig {
  timelines: Timelines
  /** The limit of the whole start, in milliseconds. The limit of pg ends before the first statement. */
  startMs: number
}

/** A session with the latest primary that this process has seen. It is closed when the process sees a later one. */
export class HostSession extends Session {
  readonly #timelines: Timelines
  readonly #startMs: number

  constructor({ timelines, startMs, ...config }: HostSessionConfig) {
    super(config)
    this.#timelines = timelines
    this.#startMs = startMs
  }

  /** @throws OldTimelineError, and what `Session` throws */
  override connect(): Promise<this>
  override connect(callback: (error: Error) => void): void
  override connect(callback?: (error: Error) => void): Promise<this> | undefined {
    if (!callback) return super.connect()
    const limit = setTimeout(() => this.connection.stream.destroy(new Error('timeout expired')), this.#startMs)
    const done = (error: Error | null) => {
      clearTimeout(limit)
      callback(error as Error)
    }
    super.connect((error: Error | null) => {
      if (error) return done(error)
      this.#admit().then(() => done(null), done)
    })
    return undefined
  }

  async #admit(): Promise<void> {
    try {
      const place = await this.#timelines.look(this)
      if (!place) return
      if (place.timeline === undefined) throw new ReadOnlyError('The server is a standby')
      this.once(
        'end',
        this.#timelines.admit(place, (error) => this.connection.stream.destroy(error)),
      )
    } catch (error) {
      void this.end()
      this.connection.stream.destroy()
      throw asUnconnected(error as Error)
    }
  }
}
