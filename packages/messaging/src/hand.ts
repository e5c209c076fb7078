/** The deliveries that a consumer handles at the same time, over all channels that it still has. */
export interface Hand {
  /** Takes a place. Where none is free, the place is taken when the promise resolves. */
  take(): Promise<void> | undefined
  free(count: number): void
}

/**
 * The broker counts each channel by itself. A consumer that subscribes again while deliveries of its last channel are
 * being handled would have twice its prefetch in hand.
 */
export function createHand(placesMax: number): Hand {
  let taken = 0
  const waiting: (() => void)[] = []
  return {
    take() {
      if (taken >= placesMax) return new Promise((resolve) => waiting.push(resolve))
      taken++
      return undefined
    },
    free(count) {
      taken -= count
      while (taken < placesMax) {
        const next = waiting.shift()
        if (!next) return
        taken++
        next()
      }
    },
  }
}
