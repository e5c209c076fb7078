import { defined } from '@cashflow/async'

// One batch in flight is cheapest: while it commits, the callers of the previous one submit the next. A second concurrent
// batch makes both smaller and costs PostgreSQL more per item. So it starts only when the queue is this many times as long
// as the batches in flight.
const WAITING_TO_IN_FLIGHT = 3
/** A batch that takes longer counts as slow: it probably waits for a lock, and does not keep the next one from starting. */
const SLOW_AFTER_MS = 50

/** Entries that wait for a writer. */
interface Queue<Entry> {
  readonly length: number
  push(entry: Entry): void
  /** Removes the next entries, at most `count`. */
  take(count: number): Entry[]
}

function createLine<Entry>(): Queue<Entry> {
  const entries: Entry[] = []
  return {
    get length() {
      return entries.length
    },
    push: (entry) => void entries.push(entry),
    take: (count) => entries.splice(0, count),
  }
}

/** A queue whose sources take turns, so that many entries of one source do not delay those of another. It takes one at a time. */
export function createTurns<Entry>(sourceOf: (entry: Entry) => string): Queue<Entry> {
  const bySource = new Map<string, Entry[]>()
  let length = 0
  return {
    get length() {
      return length
    },
    push(entry) {
      const source = sourceOf(entry)
      const entries = bySource.get(source)
      if (entries) entries.push(entry)
      else bySource.set(source, [entry])
      length += 1
    },
    take() {
      const [source, entries] = defined(bySource.entries().next().value, 'source whose turn it is')
      const taken = entries.splice(0, 1)
      bySource.delete(source)
      if (entries.length > 0) bySource.set(source, entries) // At the end of the map.
      length -= 1
      return taken
    },
  }
}

/** Writes entries in the order of their queue, in batches of at most `batchMax`. */
export function createWriters<Entry>(
  batchMax: number,
  writersMax: number,
  write: (entries: Entry[]) => Promise<() => void>,
  waiting: Queue<Entry> = createLine(),
) {
  let writing = 0
  /** Entries of the batches in flight that are not slow. */
  let inFlight = 0
  let isScheduled = false

  const mayBegin = () => waiting.length >= Math.min(batchMax, WAITING_TO_IN_FLIGHT * inFlight)

  function begin(): void {
    isScheduled = false
    while (waiting.length > 0 && writing < writersMax && mayBegin()) start(waiting.take(batchMax))
  }

  function start(entries: Entry[]): void {
    let isSlow = false
    const slow = setTimeout(() => {
      isSlow = true
      inFlight -= entries.length
      begin()
    }, SLOW_AFTER_MS)
    writing += 1
    inFlight += entries.length
    void write(entries).then((giveResults) => {
      clearTimeout(slow)
      writing -= 1
      if (!isSlow) inFlight -= entries.length
      // First the next batch, then the callers: so PostgreSQL works while they do.
      begin()
      giveResults()
    })
  }

  return {
    add(entry: Entry): void {
      waiting.push(entry)
      if (isScheduled) return
      isScheduled = true
      // After everything that arrives in this turn of the event loop.
      setImmediate(begin)
    },
  }
}
