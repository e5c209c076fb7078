/**
 * Makes a function that runs `run` at once, and then at most once in `intervalMs` milliseconds (leading edge, coalesced).
 * Calls within that time, and while `run` is running, lead to one more run.
 *
 * @param run must not reject
 */
export function createThrottle(run: () => Promise<void>, intervalMs: number): () => void {
  let cooling = false
  let again = false

  async function begin(): Promise<void> {
    cooling = true
    again = false
    const cooled = new Promise<void>((resolve) => setTimeout(resolve, intervalMs).unref())
    await run()
    await cooled
    cooling = false
    if (again) void begin()
  }

  return () => {
    if (cooling) again = true
    else void begin()
  }
}
