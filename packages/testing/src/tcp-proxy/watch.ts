/** Finds a text in what passes. */
export interface Watch {
  /** Whether the text ends within these bytes, the next of this stream. */
  findIn(stream: object, bytes: Buffer): boolean
}

/** Finds it so many times, also where it falls across pieces. What passed before it was made does not count. */
export function createWatch(text: string, times = 1): Watch {
  const wanted = Buffer.from(text)
  const tails = new WeakMap<object, Buffer>()
  let left = times
  return {
    findIn(stream, bytes) {
      if (left === 0) return false
      const seen = Buffer.concat([tails.get(stream) ?? Buffer.alloc(0), bytes])
      const at = seen.indexOf(wanted)
      // Shorter than the text, so that it is not found again.
      tails.set(stream, seen.subarray(Math.max(at + 1, seen.length - wanted.length + 1)))
      if (at === -1) return false
      left -= 1
      return true
    },
  }
}
