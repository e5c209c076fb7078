/** Creates what pauses a consumer. Both calls are idempotent. */
export function createPauseSwitch() {
  let pausing = new AbortController()
  let resuming = new AbortController()
  return {
    /** Aborted when the next pause begins, or already while there is one. */
    get paused(): AbortSignal {
      return pausing.signal
    },
    /** Aborted when the present pause ends. */
    get resumed(): AbortSignal {
      return resuming.signal
    },
    pause(): void {
      if (pausing.signal.aborted) return
      resuming = new AbortController()
      pausing.abort()
    },
    resume(): void {
      if (!pausing.signal.aborted) return
      pausing = new AbortController()
      resuming.abort()
    },
  }
}
