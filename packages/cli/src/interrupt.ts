// One press of Ctrl-C arrives twice under npm, which forwards it.
const AGAIN_AFTER_MS = 1_000

/**
 * A signal for acts of several transactions. Ctrl-C, or SIGTERM, aborts it: the act ends after its present transaction. The
 * next one ends the process.
 */
export function untilInterrupt(): AbortSignal {
  const interrupted = new AbortController()
  let againAt = Number.POSITIVE_INFINITY
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => {
      if (performance.now() >= againAt) process.exit(1)
      if (!interrupted.signal.aborted) againAt = performance.now() + AGAIN_AFTER_MS
      interrupted.abort()
    })
  return interrupted.signal
}
